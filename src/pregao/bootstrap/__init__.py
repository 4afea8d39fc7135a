"""
Builds the desk from its settings: the one place that names the concrete edges and joins them.

One file per process, so that each loads only what it runs. A ``serve_`` function is the main of its process: it runs
until it is canceled.
"""
