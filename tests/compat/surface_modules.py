"""The modules of the real packages that are compared."""

from __future__ import annotations

# docs/framework.md lists modules that Carboy does not have yet.
MODULES = """
flask flask.app flask.blueprints flask.cli flask.config flask.ctx flask.debughelpers
flask.globals flask.helpers flask.json flask.json.provider flask.json.tag flask.logging
flask.sansio.app flask.sansio.blueprints flask.sansio.scaffold flask.sessions flask.signals
flask.templating flask.testing flask.typing flask.views flask.wrappers werkzeug._internal
werkzeug._reloader werkzeug.datastructures werkzeug.datastructures.accept
werkzeug.datastructures.auth werkzeug.datastructures.cache_control werkzeug.datastructures.csp
werkzeug.datastructures.etag werkzeug.datastructures.file_storage
werkzeug.datastructures.headers werkzeug.datastructures.mixins werkzeug.datastructures.range
werkzeug.datastructures.structures werkzeug.debug werkzeug.debug.console werkzeug.debug.repr
werkzeug.debug.tbtools werkzeug.exceptions werkzeug.formparser werkzeug.http werkzeug.local
werkzeug.middleware.dispatcher werkzeug.middleware.http_proxy werkzeug.middleware.lint
werkzeug.middleware.profiler werkzeug.middleware.proxy_fix werkzeug.middleware.shared_data
werkzeug.routing werkzeug.routing.converters werkzeug.routing.exceptions werkzeug.routing.map
werkzeug.routing.matcher werkzeug.routing.rules werkzeug.sansio.http werkzeug.sansio.multipart
werkzeug.sansio.request werkzeug.sansio.response werkzeug.sansio.utils werkzeug.security
werkzeug.serving werkzeug.test werkzeug.testapp werkzeug.urls werkzeug.user_agent werkzeug.utils
werkzeug.wrappers werkzeug.wrappers.request werkzeug.wrappers.response werkzeug.wsgi
"""
