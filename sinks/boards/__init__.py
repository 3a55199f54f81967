"""Dashboards of Grafana: what a product owner and an operator want to see, each a module; `deploy/grafana/dashboards` holds them as Grafana reads them."""
