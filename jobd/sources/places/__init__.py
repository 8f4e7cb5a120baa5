"""Where files lie: each place opens them within what it may be asked for.

``local``: directories of this host. ``remote``: object stores (``stores``) and HTTP servers (``http_file``), named
by a ``uri`` within the ``access`` that settings and submitters leave, read in ``blocks`` with ``patience``.
"""
