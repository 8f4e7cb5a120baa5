"""What an import reads: the files of a job, listed once, and their batches, read one ahead of the database."""
