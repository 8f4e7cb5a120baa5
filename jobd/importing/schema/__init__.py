"""The option ``schema``: each row, as an object, held against a JSON Schema before it is sent."""
