"""A realistic page: hooks, a session, ProxyFix, a template with links."""

from types import ModuleType
from typing import Any

SECRET = "benchmark"
TEMPLATE = """<!doctype html>
<title>{{ title }}</title>
<nav>{% for n in range(40) %}<a href="{{ url_for('item', number=n) }}">Item {{ n }}</a>
{% endfor %}</nav>
{% for n in range(8) %}<article class="note note-{{ n }}"><h2>Note {{ n }}: {{ title|title }}</h2>
<p>The engine weaves algebraic patterns just as the loom weaves flowers and leaves. The bottle has a
narrow neck and a wide body, and {{ g.user|e }} has seen it {{ n }} times.</p></article>
{% endfor %}<p>Visit {{ session.visits }} of {{ request.remote_addr }}, {{ g.user|e }}.</p>
"""


def build(framework: ModuleType, proxy_fix: Any) -> Any:
    """The application, made with `framework` (flask or carboy)."""
    app = framework.Flask("page")
    app.secret_key = SECRET
    app.wsgi_app = proxy_fix(app.wsgi_app)

    @app.before_request
    def user() -> None:
        framework.g.user = "Ada <ada@example.org>"

    @app.after_request
    def policy(response: Any) -> Any:
        response.headers["X-Frame-Options"] = "DENY"
        return response

    @app.get("/page")
    def page() -> str:
        framework.session["visits"] = framework.session.get("visits", 0) + 1
        return str(framework.render_template_string(TEMPLATE, title="Notes"))

    @app.get("/item/<int:number>")
    def item(number: int) -> str:
        return str(number)

    @app.get("/")
    def hello() -> str:
        return "Hello, World!"

    return app
