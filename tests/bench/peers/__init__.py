"""`make bench-peers`: other programs that bring files into PostgreSQL, beside jobd and psql in the same rounds.

They live in an environment of their own, outside jobd's lock (``peers.lock``). Each must first import a small file
as psql does, row for row; one that is not at hand or cannot do that is left out, and the output says so.
"""
