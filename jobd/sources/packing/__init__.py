"""What files are packed in: compression, one stream each, and archives of many files."""
