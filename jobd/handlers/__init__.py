"""Who runs which type of job, one file per type; ``registry`` finds them."""
