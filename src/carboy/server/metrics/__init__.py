"""The counts of a server, and the formats in which others read them.

in a worker            requests (counts by route), figures (of the engine and the process),
                       client_registry (of prometheus_client); worker puts them together
where they are added   totals, application
families               the table of all metrics
samples, text          values, and the formats of Prometheus
page                   GET /metrics of the admin server
"""
