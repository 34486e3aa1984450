"""A profile in the file format of https://www.speedscope.app: a sampled profile for each route.

The format is described in https://www.speedscope.app/file-format-schema.json.
"""

from __future__ import annotations

import json
from typing import Any

from carboy.cli.admin.profiles.profile import Function, Node, Profile, stacks

SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def document(profile: Profile) -> str:
    """The file."""
    frames: dict[Function, int] = {}
    profiles = [_profile(profile, each, frames) for each in profile.routes()]
    return json.dumps(
        {
            "$schema": SCHEMA,
            "exporter": "carboy",
            "name": "carboy profile",
            "activeProfileIndex": 0,
            "shared": {"frames": [_frame(each) for each in frames]},
            "profiles": profiles,
        }
    )


def _frame(function: Function) -> dict[str, Any]:
    if not function.file:
        return {"name": function.name}
    return {"name": function.name, "file": function.file, "line": function.line}


def _profile(profile: Profile, route: Node, frames: dict[Function, int]) -> dict[str, Any]:
    samples, weights = [], []
    above = Node(route.function, children={route.function: route})
    for stack, count in stacks(above):
        samples.append([frames.setdefault(each, len(frames)) for each in stack])
        weights.append(round(profile.time(count), 6))
    return {
        "type": "sampled",
        "name": route.function.name,
        "unit": "seconds",
        "startValue": 0,
        "endValue": round(profile.time(route.total), 6),
        "samples": samples,
        "weights": weights,
    }
