"""The report of `carboy explain --report`: its content as blocks, and its three forms."""
