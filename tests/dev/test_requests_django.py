"""The list of requests for a Django application."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
from pathlib import Path
import django
from django.conf import settings
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="k", DEBUG=True)
django.setup()
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from werkzeug.test import Client
from carboy.cli.dev.tools import Tools
from carboy.dev.live import Broadcaster
from carboy.dev.requests import Store

def note(request, number):
    if number == 0:
        raise LookupError("no note")
    return HttpResponse(f"note {number}")

urlpatterns = [path("notes/<int:number>", note, name="note")]
folder = Path(sys.argv[1])
app = Tools(requests=folder).around(get_wsgi_application(), Broadcaster("1"))
response = Client(app).get(sys.argv[2], buffered=True)
[record] = Store(folder).all()
errors = [event.title for event in record.events if event.kind == "error"]
print(response.status_code, record.rule, record.endpoint, *errors)
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/notes/3", "200 /notes/<int:number> note"),
        ("/notes/0", "500 /notes/<int:number> note LookupError: no note"),
        ("/none", "404"),
    ],
)
def test_requests_of_django_have_their_route_and_exception(
    path: str, expected: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", CODE, str(tmp_path), path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == expected
