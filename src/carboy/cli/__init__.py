"""The `carboy` command."""
