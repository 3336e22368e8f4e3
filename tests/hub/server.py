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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

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
    """What happens to the next requests of a kind: a status, or the connection is dropped."""

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


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_HEAD(self) -> None:
        self._serve("HEAD")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def _serve(self, method: str) -> None:
        self.path_only = unquote(urlsplit(self.path).path)
        with self.hub.lock:
            self.hub.requests.append((method, self.path_only))
            fault = self._next_fault(method)
        if fault is not None and fault.status is None:
            if method in ("POST", "PUT"):
                self.rfile.read(64)  # in mid-upload
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.body = self._read_body()
        try:
            if fault is not None:
                raise HubError(fault.status or 500, "as the test wants it", fault.code)
            for verb, pattern, answer in ROUTES:
                match = re.fullmatch(pattern, self.path_only)
                if verb == ("GET" if method == "HEAD" else method) and match:
                    with self.hub.lock:
                        answer(self, *match.groups())
                    return
            raise HubError(404, f"no such endpoint: {method} {self.path_only}")
        except HubError as error:
            headers = {"X-Error-Message": str(error)}
            if error.code:
                headers["X-Error-Code"] = error.code
            self._json({"error": str(error)}, error.status, headers)

    def _next_fault(self, method: str) -> Fault | None:
        for fault in self.hub.faults:
            if fault.times and fault.method == method and re.search(fault.path, self.path_only):
                fault.times -= 1
                return fault
        return None

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _json(self, content: object, status: int = 200, headers: Any = None) -> None:
        self._bytes(json.dumps(content).encode(), status, headers, "application/json")

    def _bytes(
        self,
        content: bytes,
        status: int = 200,
        headers: dict[str, str] | None = None,
        kind: str = "application/octet-stream",
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def user(self) -> str | None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
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

    def whoami(self) -> None:
        if self.user() is None:
            raise HubError(401, "Invalid username or password.")
        self._json({"type": "user", "name": self.user(), "orgs": []})

    def create(self) -> None:
        self.writer()
        asked = json.loads(self.body)
        repo_id = f"{asked.get('organization') or self.user()}/{asked['name']}"
        if repo_id in self.hub.repos:
            raise HubError(409, "You already created this model repo")
        self.hub.add_repo(repo_id, private=asked.get("visibility") == "private")
        self._json({"url": f"{self.hub.url}/{repo_id}"})

    def validate_yaml(self) -> None:
        text = json.loads(self.body)["content"]
        block = re.match(r"\s*---\n(.*?)\n---", text, re.DOTALL)
        metadata = yaml.safe_load(block[1]) if block else {}
        base = metadata.get("base_model")
        if base and not REPO_ID.fullmatch(str(base)):
            message = '"base_model" with value "..." is not valid. Use a model id'
            self._json({"errors": [{"message": message}], "warnings": []}, 400)
        else:
            self._json({"errors": [], "warnings": []})

    def info(self, repo_id: str, revision: str = "main") -> None:
        commit = self.commit(repo_id, revision)
        siblings = [{"rfilename": name} for name in sorted(commit.files)]
        private = self.repo(repo_id).private
        self._json({"id": repo_id, "sha": commit.oid, "private": private, "siblings": siblings})

    def refs(self, repo_id: str) -> None:
        branches = self.repo(repo_id).branches
        names = [
            {"name": name, "ref": f"refs/heads/{name}", "targetCommit": commits[-1].oid}
            for name, commits in branches.items()
        ]
        self._json({"branches": names, "tags": [], "converts": []})

    def branch(self, repo_id: str, name: str) -> None:
        self.writer()
        branches = self.repo(repo_id).branches
        if name in branches:
            raise HubError(409, "Reference already exists")
        branches[name] = list(branches["main"])
        self._json({})

    def tree(self, repo_id: str, revision: str, folder: str | None = None) -> None:
        commit = self.commit(repo_id, revision)
        recursive = parse_qs(urlsplit(self.path).query).get("recursive", [""])[0].lower()
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
        self._json(found)

    def preupload(self, repo_id: str, revision: str) -> None:
        self.writer()
        commit = self.commit(repo_id, revision)
        answers = []
        for file in json.loads(self.body)["files"]:
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
        self._json({"files": answers})

    def lfs_batch(self, repo_id: str) -> None:
        self.writer()
        self.repo(repo_id)
        objects = []
        for item in json.loads(self.body)["objects"]:
            entry: dict[str, Any] = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in self.hub.objects:
                entry["actions"] = {
                    "upload": {"href": f"{self.hub.url}/lfs/{item['oid']}", "header": {}},
                    "verify": {"href": f"{self.hub.url}/lfs/{item['oid']}/verify", "header": {}},
                }
            objects.append(entry)
        self._json({"transfer": "basic", "objects": objects})

    def lfs_put(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise HubError(400, "the content does not have this hash")
        self.hub.objects[oid] = self.body
        self._bytes(b"")

    def lfs_verify(self, oid: str) -> None:
        self.writer()
        if len(self.hub.objects.get(oid, b"")) != json.loads(self.body)["size"]:
            raise HubError(404, "the object is not there")
        self.hub.verified.add(oid)
        self._json({})

    def lfs_get(self, oid: str) -> None:
        self._bytes(self.hub.objects[oid])

    def post_commit(self, repo_id: str, revision: str) -> None:
        self.writer()
        head = self.commit(repo_id, revision)
        lines = [json.loads(line) for line in self.body.splitlines()]
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
        self._json({"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})

    def resolve(self, repo_id: str, revision: str, name: str) -> None:
        commit = self.commit(repo_id, revision)
        known = {"X-Repo-Commit": commit.oid}
        content = commit.files.get(name)
        if content is None:
            missing = {**known, "X-Error-Code": "EntryNotFound", "X-Error-Message": "no entry"}
            self._json({"error": "Entry not found"}, 404, missing)
        elif name in commit.lfs:
            sha = hashlib.sha256(content).hexdigest()
            linked = {"X-Linked-Etag": f'"{sha}"', "X-Linked-Size": str(len(content))}
            # Another host, as a store of large files is: the client follows none but its own.
            store = self.hub.url.replace("127.0.0.1", "localhost")
            location = {"Location": f"{store}/lfs/{sha}", **linked}
            self._bytes(b"", 302, {**known, **location})
        else:
            self._bytes(content, 200, {**known, "ETag": f'"{_oid(content)}"'})


_ID = r"([^/]+/[^/]+)"
ROUTES = [
    ("GET", r"/api/whoami-v2", Handler.whoami),
    ("POST", r"/api/repos/create", Handler.create),
    ("POST", r"/api/validate-yaml", Handler.validate_yaml),
    ("GET", rf"/api/models/{_ID}", Handler.info),
    ("GET", rf"/api/models/{_ID}/revision/(.+)", Handler.info),
    ("GET", rf"/api/models/{_ID}/refs", Handler.refs),
    ("GET", rf"/api/models/{_ID}/tree/([^/]+)(/.*)?", Handler.tree),
    ("POST", rf"/api/models/{_ID}/branch/(.+)", Handler.branch),
    ("POST", rf"/api/models/{_ID}/preupload/(.+)", Handler.preupload),
    ("POST", rf"/api/models/{_ID}/commit/(.+)", Handler.post_commit),
    ("POST", rf"/{_ID}\.git/info/lfs/objects/batch", Handler.lfs_batch),
    ("PUT", r"/lfs/([0-9a-f]{64})", Handler.lfs_put),
    ("GET", r"/lfs/([0-9a-f]{64})", Handler.lfs_get),
    ("POST", r"/lfs/([0-9a-f]{64})/verify", Handler.lfs_verify),
    ("GET", rf"/{_ID}/resolve/([^/]+)/(.+)", Handler.resolve),
]


@contextmanager
def serve() -> Iterator[Hub]:
    """A hub of its own, on a free port of loopback."""
    hub = Hub()
    handler = type("HubHandler", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
