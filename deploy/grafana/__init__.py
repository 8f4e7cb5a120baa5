"""The dashboards' source: `make dashboards` writes the files in `dashboards/`, which Grafana imports.

- ``queries``     what is asked of Prometheus and of PostgreSQL
- ``look``        how numbers look: steps of colour, words for values, columns of tables
- ``panels``      one panel of each kind
- ``page``        a dashboard: its rows, variables, annotations and links
- ``shared``      panels of more than one dashboard
- ``overview`` (with ``objectives``), ``imports``, ``daemon`` (with ``surroundings``), ``postgresql``
"""
