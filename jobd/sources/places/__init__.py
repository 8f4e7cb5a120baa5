"""Where files lie: each place opens them within what it may be asked for.

``local`` directories of this host; ``remote`` object stores (``stores``) and HTTP servers (``http_file``), by their
``uri`` within the ``access`` that settings and submitters leave them, read through ``blocks`` with ``patience``.
"""
