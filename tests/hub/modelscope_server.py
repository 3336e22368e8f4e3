"""A small ModelScope on loopback: what its client asks of one to look, create, commit and read.

Covered: a model's page (openapi and legacy), create, the LFS batch and its uploads, commit, one
file of a repository. Not covered: data sets, studios, branches, uploads in parts.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

TOKEN = "ms-12345678-1234-1234-1234-123456789abc"
PUBLIC, PRIVATE = 5, 1


@dataclass
class Repo:
    visibility: int = PUBLIC
    files: dict[str, bytes] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)


@dataclass
class ModelScope:
    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    failures: list[int] = field(default_factory=list)
    """Statuses that the next commits get."""
    requests: list[tuple[str, str]] = field(default_factory=list)


class Server(HTTPServer):
    """Answers by ``ROUTES``."""

    def __init__(self, cloud: ModelScope) -> None:
        super().__init__("127.0.0.1", 0, threaded=True)
        self.cloud = cloud

    def application(self, request: Request) -> Response:
        body = request.get_data()
        self.cloud.requests.append((request.method, request.path))
        for verb, pattern, answer in ROUTES:
            match = re.fullmatch(pattern, request.path)
            if verb == request.method and match:
                return answer(self, request, body, *match.groups())
        return said(404, "no such endpoint")

    def allows(self, request: Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {TOKEN}"

    def page(self, request: Request, body: bytes, repo_id: str) -> Response:
        repo = self.cloud.repos.get(repo_id)
        if repo is None:
            return said(404, "the model does not exist")
        return found({"id": repo_id, "visibility": repo.visibility})

    def create(self, request: Request, body: bytes) -> Response:
        if not self.allows(request):
            return said(401, f"token {request.headers.get('Authorization')} is invalid")
        asked = json.loads(body)
        repo_id = f"{asked['Path']}/{asked['Name']}"
        if repo_id in self.cloud.repos:
            return said(409, "the model already exists")
        self.cloud.repos[repo_id] = Repo(asked["Visibility"])
        return found({})

    def batch(self, request: Request, body: bytes, repo_id: str) -> Response:
        objects = []
        for item in json.loads(body)["objects"]:
            entry: dict[str, Any] = dict(item)
            if item["oid"] not in self.cloud.blobs:
                entry["actions"] = {"upload": {"href": f"{self.cloud.url}/blob/{item['oid']}"}}
            objects.append(entry)
        return found({"objects": objects})

    def put(self, request: Request, body: bytes, oid: str) -> Response:
        if hashlib.sha256(body).hexdigest() != oid:
            return said(400, "the content does not have this hash")
        self.cloud.blobs[oid] = body
        return found({})

    def commit(self, request: Request, body: bytes, repo_id: str, revision: str) -> Response:
        if self.cloud.failures:
            return said(self.cloud.failures.pop(0), f"as the test wants it, for {TOKEN}")
        asked = json.loads(body)
        repo = self.cloud.repos[repo_id]
        repo.messages.append(f"{revision}: {asked['commit_message']}")
        for action in asked["actions"]:
            is_blob = action["type"] == "lfs"
            repo.files[action["path"]] = (
                self.cloud.blobs[action["sha256"]]
                if is_blob
                else base64.b64decode(action["content"])
            )
        return found({})

    def file(self, request: Request, body: bytes, repo_id: str) -> Response:
        content = self.cloud.repos[repo_id].files.get(request.args["FilePath"])
        return said(404, "no such file") if content is None else Response(content)


def found(data: object) -> Response:
    content = {"Code": 200, "Success": True, "success": True, "Data": data, "data": data}
    return Response(json.dumps(content), content_type="application/json")


def said(status: int, message: str) -> Response:
    content = {"Code": status, "Success": False, "Message": message, "message": message}
    return Response(json.dumps(content), status, content_type="application/json")


_ID = r"([\w-]+/[\w.-]+)"
ROUTES = [
    ("GET", rf"/(?:openapi|api)/v1/models/{_ID}", Server.page),
    ("POST", r"/api/v1/models", Server.create),
    ("GET", rf"/api/v1/models/{_ID}/repo", Server.file),
    ("POST", rf"/api/v1/repos/models/{_ID}/info/lfs/objects/batch", Server.batch),
    ("POST", rf"/api/v1/repos/models/{_ID}/commit/(.+)", Server.commit),
    ("PUT", r"/blob/([0-9a-f]{64})", Server.put),
]


@contextmanager
def serve() -> Iterator[ModelScope]:
    """A ModelScope of its own, on a free port of loopback."""
    cloud = ModelScope()
    with Server(cloud) as server:
        cloud.url = server.url_for("").rstrip("/")
        yield cloud
