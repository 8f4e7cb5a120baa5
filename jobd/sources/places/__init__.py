"""Where files lie: each place opens them within what it may be asked for."""
