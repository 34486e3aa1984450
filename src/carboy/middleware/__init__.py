"""WSGI middleware: wrappers around an application, one class in each file.

To add a middleware to an application, wrap its `wsgi_app`. The application object stays the same,
so `carboy run`, the test client and the command line still find it:

    from carboy.middleware.proxy_fix import ProxyFix

    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1)

To write one, take the application in `__init__` and a request in `__call__`. It can be in any
module of your program:

    class Timing:
        def __init__(self, app):
            self.app = app

        def __call__(self, environ, start_response):
            began = time.perf_counter()
            try:
                return self.app(environ, start_response)
            finally:
                print(environ["PATH_INFO"], time.perf_counter() - began)

To add one to this package, put it in a file of its own here, with its tests in tests/middleware.
tests/test_layers.py lists what it may import. If Werkzeug has the same class, add the module to
compat/module_map.py and the class to compat/qualnames.py.
"""
