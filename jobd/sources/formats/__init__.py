"""From bytes to blocks of records, one format a reader; ``detect`` tells which a file is."""
