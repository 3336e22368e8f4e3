"""A small hub on loopback: what huggingface_hub asks of one, with commits, LFS and failures.

Covered: repos/create, whoami-v2, validate-yaml, model info and revision info, refs, tree, branch,
preupload, the LFS batch, upload and verify, commit (add, LFS file, delete), resolve (HEAD and GET,
with a redirect to another host for LFS). Not covered: xet, multipart uploads, pull requests,
data sets and spaces.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import yaml
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

WRITER, READER = "hf_" + "w" * 34, "hf_" + "r" * 34
LFS_SUFFIXES = (".safetensors", ".onnx", ".bin", ".pt", ".pth")
REPO_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


@dataclass
class Commit:
    oid: str
    message: str
    files: dict[str, bytes]
    lfs: frozenset[str]


@dataclass
class Repo:
    private: bool
    branches: dict[str, list[Commit]] = field(default_factory=dict)

    def find(self, revision: str) -> Commit | None:
        if revision in self.branches:
            return self.branches[revision][-1]
        every = [commit for branch in self.branches.values() for commit in branch]
        return next((commit for commit in every if commit.oid == revision), None)


@dataclass
class Fault:
    """A fault for the next requests of a kind: a status, or a dropped connection."""

    method: str
    path: str  # a regular expression
    status: int | None
    times: int = 1
    code: str | None = None


@dataclass
class Hub:
    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    verified: set[str] = field(default_factory=set)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def fail(self, method: str, path: str, status: int | None, *, times: int = 1) -> None:
        self.faults.append(Fault(method, path, status, times))

    def add_repo(self, repo_id: str, *, private: bool = False, **files: bytes) -> Repo:
        first = Commit(_oid(repo_id), "initial commit", files, frozenset())
        self.repos[repo_id] = Repo(private, {"main": [first]})
        return self.repos[repo_id]

    def files(self, repo_id: str, revision: str = "main") -> dict[str, bytes]:
        commit = self.repos[repo_id].find(revision)
        assert commit is not None
        return commit.files

    def commits(self, repo_id: str, revision: str = "main") -> list[str]:
        return [commit.message for commit in self.repos[repo_id].branches[revision]]

    def paths(self, method: str = "") -> list[str]:
        return [path for verb, path in self.requests if verb == method or not method]

    def commit_by_somebody(self, repo_id: str, **files: bytes) -> None:
        """A commit of somebody else, between two requests of ours."""
        branch = self.repos[repo_id].branches["main"]
        new = branch[-1].files | {name.replace("__", "."): text for name, text in files.items()}
        branch.append(Commit(_oid(f"{repo_id}{len(branch)}"), "theirs", new, branch[-1].lfs))


def _oid(seed: object) -> str:
    return hashlib.sha1(str(seed).encode()).hexdigest()


class HubError(Exception):
    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Server(HTTPServer):
    """Answers by ``ROUTES``, after the faults that the test wants."""

    def __init__(self, hub: Hub) -> None:
        super().__init__("127.0.0.1", 0, threaded=True)
        self.hub = hub

    def application(self, request: Request) -> Response:
        with self.hub.lock:
            self.hub.requests.append((request.method, request.path))
            fault = self._next_fault(request)
        if fault is not None and fault.status is None:
            if request.method in ("POST", "PUT"):
                request.stream.read(64)  # in mid-upload
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return Response()
        request.get_data()
        try:
            if fault is not None:
                raise HubError(fault.status or 500, "as the test wants it", fault.code)
            answer, groups = _route(request)
            with self.hub.lock:
                return answer(Exchange(self.hub, request), *groups)
        except HubError as error:
            code = {"X-Error-Code": error.code} if error.code else {}
            return _json(
                {"error": str(error)}, error.status, {"X-Error-Message": str(error)} | code
            )

    def _next_fault(self, request: Request) -> Fault | None:
        for fault in self.hub.faults:
            if (
                fault.times
                and fault.method == request.method
                and re.search(fault.path, request.path)
            ):
                fault.times -= 1
                return fault
        return None


def _route(request: Request) -> tuple[Callable[..., Response], tuple[str, ...]]:
    method = "GET" if request.method == "HEAD" else request.method
    for verb, pattern, answer in ROUTES:
        match = re.fullmatch(pattern, request.path)
        if verb == method and match:
            return answer, match.groups()
    raise HubError(404, f"no such endpoint: {request.method} {request.path}")


def _json(content: object, status: int = 200, headers: Any = None) -> Response:
    return Response(json.dumps(content), status, headers, content_type="application/json")


class Exchange:
    """One request to the hub, and what it answers."""

    def __init__(self, hub: Hub, request: Request) -> None:
        self.hub, self.request = hub, request

    def asked(self) -> Any:
        return json.loads(self.request.get_data())

    def user(self) -> str | None:
        token = self.request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in (WRITER, READER):
            raise HubError(401, "Invalid credentials in Authorization header")
        return {WRITER: "writer", READER: "reader"}.get(token)

    def writer(self) -> None:
        if self.user() is None:
            raise HubError(401, "Invalid username or password.")
        if self.user() != "writer":
            raise HubError(403, "You don't have the rights to do this")

    def repo(self, repo_id: str) -> Repo:
        repo = self.hub.repos.get(repo_id)
        if repo is None or (repo.private and self.user() != "writer"):
            raise HubError(404 if self.user() else 401, "Repository not found", "RepoNotFound")
        return repo

    def commit(self, repo_id: str, revision: str) -> Commit:
        commit = self.repo(repo_id).find(revision)
        if commit is None:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    # --- what is asked -------------------------------------------------------------------------

    def whoami(self) -> Response:
        if self.user() is None:
            raise HubError(401, "Invalid username or password.")
        return _json({"type": "user", "name": self.user(), "orgs": []})

    def create(self) -> Response:
        self.writer()
        asked = self.asked()
        repo_id = f"{asked.get('organization') or self.user()}/{asked['name']}"
        if repo_id in self.hub.repos:
            raise HubError(409, "You already created this model repo")
        self.hub.add_repo(repo_id, private=asked.get("visibility") == "private")
        return _json({"url": f"{self.hub.url}/{repo_id}"})

    def validate_yaml(self) -> Response:
        text = self.asked()["content"]
        block = re.match(r"\s*---\n(.*?)\n---", text, re.DOTALL)
        metadata = yaml.safe_load(block[1]) if block else {}
        base = metadata.get("base_model")
        if base and not REPO_ID.fullmatch(str(base)):
            message = '"base_model" with value "..." is not valid. Use a model id'
            return _json({"errors": [{"message": message}], "warnings": []}, 400)
        return _json({"errors": [], "warnings": []})

    def info(self, repo_id: str, revision: str = "main") -> Response:
        commit = self.commit(repo_id, revision)
        siblings = [{"rfilename": name} for name in sorted(commit.files)]
        private = self.repo(repo_id).private
        return _json({"id": repo_id, "sha": commit.oid, "private": private, "siblings": siblings})

    def refs(self, repo_id: str) -> Response:
        branches = self.repo(repo_id).branches
        names = [
            {"name": name, "ref": f"refs/heads/{name}", "targetCommit": commits[-1].oid}
            for name, commits in branches.items()
        ]
        return _json({"branches": names, "tags": [], "converts": []})

    def branch(self, repo_id: str, name: str) -> Response:
        self.writer()
        branches = self.repo(repo_id).branches
        if name in branches:
            raise HubError(409, "Reference already exists")
        branches[name] = list(branches["main"])
        return _json({})

    def tree(self, repo_id: str, revision: str, folder: str | None = None) -> Response:
        commit = self.commit(repo_id, revision)
        recursive = self.request.args.get("recursive", "").lower()
        prefix = f"{folder.strip('/')}/" if folder and folder.strip("/") else ""
        found = []
        for name, content in sorted(commit.files.items()):
            rest = name.removeprefix(prefix)
            if name.startswith(prefix) and ("/" not in rest or recursive in ("1", "true")):
                entry = {"type": "file", "path": name, "size": len(content), "oid": _oid(content)}
                if name in commit.lfs:
                    sha = hashlib.sha256(content).hexdigest()
                    entry["lfs"] = {"oid": sha, "size": len(content), "pointerSize": 130}
                found.append(entry)
        return _json(found)

    def preupload(self, repo_id: str, revision: str) -> Response:
        self.writer()
        commit = self.commit(repo_id, revision)
        answers = []
        for file in self.asked()["files"]:
            is_lfs = file["path"].endswith(LFS_SUFFIXES)
            content = commit.files.get(file["path"])
            oid = None
            if content is not None and is_lfs:
                oid = hashlib.sha256(content).hexdigest()
            elif content is not None:
                oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            mode = "lfs" if is_lfs else "regular"
            answers.append(
                {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid}
            )
        return _json({"files": answers})

    def lfs_batch(self, repo_id: str) -> Response:
        self.writer()
        self.repo(repo_id)
        objects = []
        for item in self.asked()["objects"]:
            entry: dict[str, Any] = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in self.hub.objects:
                entry["actions"] = {
                    "upload": {"href": f"{self.hub.url}/lfs/{item['oid']}", "header": {}},
                    "verify": {"href": f"{self.hub.url}/lfs/{item['oid']}/verify", "header": {}},
                }
            objects.append(entry)
        return _json({"transfer": "basic", "objects": objects})

    def lfs_put(self, oid: str) -> Response:
        if hashlib.sha256(self.request.get_data()).hexdigest() != oid:
            raise HubError(400, "the content does not have this hash")
        self.hub.objects[oid] = self.request.get_data()
        return Response()

    def lfs_verify(self, oid: str) -> Response:
        self.writer()
        if len(self.hub.objects.get(oid, b"")) != self.asked()["size"]:
            raise HubError(404, "the object is not there")
        self.hub.verified.add(oid)
        return _json({})

    def lfs_get(self, oid: str) -> Response:
        return Response(self.hub.objects[oid])

    def post_commit(self, repo_id: str, revision: str) -> Response:
        self.writer()
        head = self.commit(repo_id, revision)
        lines = [json.loads(line) for line in self.request.get_data().splitlines()]
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, head.oid):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        files, lfs = dict(head.files), set(head.lfs)
        for line in lines[1:]:
            path = line["value"]["path"]
            lfs.discard(path)
            if line["key"] == "file":
                files[path] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "lfsFile":
                files[path] = self.hub.objects[line["value"]["oid"]]
                lfs.add(path)
            else:
                del files[path]
        branch = self.repo(repo_id).branches[revision]
        oid = _oid((repo_id, revision, len(branch), sorted(files)))
        branch.append(Commit(oid, header["summary"], files, frozenset(lfs)))
        url = f"{self.hub.url}/{repo_id}/commit/{oid}"
        return _json({"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})

    def resolve(self, repo_id: str, revision: str, name: str) -> Response:
        commit = self.commit(repo_id, revision)
        known = {"X-Repo-Commit": commit.oid}
        content = commit.files.get(name)
        if content is None:
            missing = {**known, "X-Error-Code": "EntryNotFound", "X-Error-Message": "no entry"}
            return _json({"error": "Entry not found"}, 404, missing)
        if name in commit.lfs:
            sha = hashlib.sha256(content).hexdigest()
            linked = {"X-Linked-Etag": f'"{sha}"', "X-Linked-Size": str(len(content))}
            # Another host, as a store of large files is: the client follows none but its own.
            store = self.hub.url.replace("127.0.0.1", "localhost")
            location = {"Location": f"{store}/lfs/{sha}", **linked}
            return Response(b"", 302, {**known, **location})
        return Response(content, 200, {**known, "ETag": f'"{_oid(content)}"'})


_ID = r"([^/]+/[^/]+)"
ROUTES = [
    ("GET", r"/api/whoami-v2", Exchange.whoami),
    ("POST", r"/api/repos/create", Exchange.create),
    ("POST", r"/api/validate-yaml", Exchange.validate_yaml),
    ("GET", rf"/api/models/{_ID}", Exchange.info),
    ("GET", rf"/api/models/{_ID}/revision/(.+)", Exchange.info),
    ("GET", rf"/api/models/{_ID}/refs", Exchange.refs),
    ("GET", rf"/api/models/{_ID}/tree/([^/]+)(/.*)?", Exchange.tree),
    ("POST", rf"/api/models/{_ID}/branch/(.+)", Exchange.branch),
    ("POST", rf"/api/models/{_ID}/preupload/(.+)", Exchange.preupload),
    ("POST", rf"/api/models/{_ID}/commit/(.+)", Exchange.post_commit),
    ("POST", rf"/{_ID}\.git/info/lfs/objects/batch", Exchange.lfs_batch),
    ("PUT", r"/lfs/([0-9a-f]{64})", Exchange.lfs_put),
    ("GET", r"/lfs/([0-9a-f]{64})", Exchange.lfs_get),
    ("POST", r"/lfs/([0-9a-f]{64})/verify", Exchange.lfs_verify),
    ("GET", rf"/{_ID}/resolve/([^/]+)/(.+)", Exchange.resolve),
]


@contextmanager
def serve() -> Iterator[Hub]:
    """A hub of its own, on a free port of loopback."""
    hub = Hub()
    with Server(hub) as server:
        hub.url = server.url_for("").rstrip("/")
        yield hub
