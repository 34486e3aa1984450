"""Calls of caches in the list of requests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FLASK_CACHING = """
import sys
sys.path.insert(0, sys.argv[1])
if sys.argv[2] == "carboy":
    import carboy.compat
    carboy.compat.install()
import flask
from flask_caching import Cache
from recorded_requests import recorded_by, told

app = flask.Flask("shop")
assert (type(app).__mro__[0].__module__.split(".")[0] == "carboy" or sys.argv[2] == "flask")
cache = Cache(app, config={"CACHE_TYPE": "SimpleCache"})

@cache.memoize(50)
def total(a, b):
    return a + b

@app.get("/")
@cache.cached(timeout=50)
def index():
    return str(total(1, 2))

@app.get("/all")
def every():
    cache.set("a", 1)
    cache.get("a")
    cache.get("b")
    cache.set_many({"k": 1, "l": 2})
    cache.get_many("k", "l", "m")
    cache.delete("a")
    cache.set("session:5f3a", 1)
    cache.clear()
    return "x"

for path in ("/", "/", "/all"):
    record = recorded_by(app, path)
    print(path, record.count("cache"), record.hits)
    print(*told(record, "cache"), sep="\\n")
"""
DJANGO = """
import sys
sys.path.insert(0, sys.argv[1])
from django.conf import settings
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="k",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {
            "base.html": "<{% block a %}{% endblock %}>",
            "list.html": "{% extends 'base.html' %}{% block a %}{{ n }}{% endblock %}"})]}}])
import django
django.setup()
from django.core.cache import cache
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import path
from django.core.wsgi import get_wsgi_application
from recorded_requests import recorded_by, told

def listed(request):
    cache.get("a")
    cache.get_or_set("a", 1)
    cache.get("a")
    return render(request, "list.html", {"n": 1})

async def slow(request):
    return HttpResponse("")

urlpatterns = [path("", listed), path("slow", slow)]
for address in ("/", "/slow"):
    for event in recorded_by(get_wsgi_application(), address).events:
        print(event.kind, event.title, event.detail)
"""


def output(code: str, *arguments: str) -> list[str]:
    command = [sys.executable, "-c", code, str(Path(__file__).parents[1]), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("framework", ["carboy", "flask"])
def test_calls_of_flask_caching_are_recorded(framework: str) -> None:
    found = output(FLASK_CACHING, framework)
    second, third = found.index("/ 1 1"), found.index("/all 8 2")
    first = found[:second]
    assert "get view// | miss for index" in first
    assert first[-1] == "set view// | for index"
    assert any(each.startswith("get ") and each.endswith("miss for total") for each in first)
    assert found[second + 1 : third] == ["get view// | hit for index"]
    assert found[third + 1 :] == [
        "set a | ", "get a | hit", "get b | miss", "set_many k, l | ",
        "get_many k, l, m | 2 found", "delete a | ", "set session:•••••• | ", "clear | ",
    ]  # fmt: skip


def test_the_cache_the_view_and_the_templates_of_django_are_recorded() -> None:
    assert output(DJANGO) == [
        "view __main__.listed ", "cache get a miss", "cache get a miss", "cache add a ",
        "cache get a ", "cache get a hit", "template list.html ", "template base.html ",
        "view __main__.slow ",
    ]  # fmt: skip
