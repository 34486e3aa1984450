"""The configuration of `carboy run`, shown or checked (carboy.cli.config_options)."""
