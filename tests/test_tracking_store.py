import base64
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tune_knee.tracking_store import bound_requests, require_reachable, sqlite_uri

SEARCH = "/api/2.0/mlflow/experiments/search"
USER, PASSWORD = "anna", "hunter2"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class _Server(BaseHTTPRequestHandler):
    """An MLflow server; below /closed one with a login, below /others one for other users."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        closed = self.path.startswith("/closed") and self.headers["Authorization"] != BASIC
        others = self.path.startswith("/others")
        found = self.path.endswith(SEARCH) and not self.path.startswith("/elsewhere")
        status = 401 if closed else 403 if others else 200 if found else 404
        body = b"{}" if status == 200 else b"You are not authenticated."
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def anonymous(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)


class TestRequireReachable:
    def test_a_store_and_a_server_are(self, tmp_path, server):
        require_reachable(sqlite_uri(tmp_path))
        require_reachable(server)
        require_reachable(f"{server}/")

    def test_another_server_is_not(self, server):
        with pytest.raises(ValueError, match=r"reachable MLflow store.*404"):
            require_reachable(f"{server}/elsewhere")

    @pytest.mark.parametrize(("path", "status"), [("/closed", 401), ("/others", 403)])
    def test_who_is_not_let_in_is_told_what_to_set(self, server, path, status):
        with pytest.raises(ValueError, match=f"let this user in.*{status}.*set MLFLOW_TRACKING_U"):
            require_reachable(server + path)

    def test_the_environment_lets_in_and_a_wrong_password_is_not_shown(self, server, monkeypatch):
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "letmein9")
        with pytest.raises(ValueError, match="let this user in") as error:
            require_reachable(f"{server}/closed")
        assert "letmein9" not in str(error.value)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
        require_reachable(f"{server}/closed")

    def test_the_credentials_file_lets_in(self, server, tmp_path):
        (tmp_path / ".mlflow").mkdir()
        (tmp_path / ".mlflow" / "credentials").write_text(
            f"[mlflow]\nmlflow_tracking_username = {USER}\nmlflow_tracking_password = {PASSWORD}\n"
        )
        require_reachable(f"{server}/closed")

    @pytest.mark.parametrize(
        ("uri", "message"),
        [
            ("http://127.0.0.1:1", "Connection refused"),
            ("mlruns", "filesystem"),
            ("ftp://x", "unsupported URI"),
        ],
    )
    def test_what_is_no_store_says_so(self, uri, message):
        with pytest.raises(ValueError, match=f"got tracking_uri={uri} .*{message}"):
            require_reachable(uri)

    def test_a_file_that_is_no_database(self, tmp_path):
        (tmp_path / "mlflow.db").write_text("no database, but long enough to be looked at " * 9)
        with pytest.raises(ValueError, match="file is not a database"):
            require_reachable(sqlite_uri(tmp_path))


def test_bounds_leave_what_the_environment_says(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    bound_requests()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
