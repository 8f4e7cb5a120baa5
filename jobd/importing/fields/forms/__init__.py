"""Ways in which values are written, one module each: from a text of the file to the text that PostgreSQL reads.

``form`` says what a form is; ``numbers``, ``booleans``, ``dates`` are stated by options; ``arrays`` and
``json_text`` follow from the column's type.
"""
