"""As much of Kubernetes' interface as Snakemake's executor asks for, on this machine: jobs run as in pods.

A pod's command runs in an empty folder of its own, beside that of the volume, as in a cluster /workdir is beside
/weightcast; of the environment it has what the image would give it. What is asked for each pod is kept.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{{name: here, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
contexts: [{{name: here, context: {{cluster: here, user: here}}}}]
current-context: here
users: [{{name: here, user: {{}}}}]
"""


class PretendedKubernetes:
    """Pods that were asked for, and the processes that stand for them."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = dict(environment)
        self.asked: list[dict[str, Any]] = []
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, job: dict[str, Any]) -> None:
        """Run what the one container of a job is told to."""
        name, (container,) = job["metadata"]["name"], job["spec"]["template"]["spec"]["containers"]
        self.asked.append(job)
        workdir = self.folder / f"pod-{len(self.asked)}"
        workdir.mkdir()
        log = (self.folder / f"pod-{len(self.asked)}.log").open("w")
        self.running[name] = subprocess.Popen(
            [*container["command"], *container["args"]], cwd=workdir, env=self.environment, stdout=log, stderr=log
        )

    def status(self, name: str) -> dict[str, int]:
        """Of a job, as Kubernetes counts it."""
        ended = self.running[name].poll()
        return {} if ended is None else {"succeeded": 1} if ended == 0 else {"failed": 1}

    def logs(self) -> str:
        """What all pods said."""
        return "\n".join(log.read_text()[-3000:] for log in sorted(self.folder.glob("pod-*.log")))


@contextmanager
def pretended_kubernetes(folder: Path, environment: Mapping[str, str]) -> Iterator[tuple[PretendedKubernetes, Path]]:
    """Answer on a port of this machine; the second is the configuration by which clients find it."""
    cluster = PretendedKubernetes(folder, environment)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path.endswith("/jobs"):
                cluster.start(body)
            self._answer(body, 201)

        def do_GET(self) -> None:
            if self.path.endswith("/status"):
                name = self.path.split("/")[-2]
                self._answer({"kind": "Job", "metadata": {"name": name}, "status": cluster.status(name)})
            else:
                self._answer({"kind": "PodList", "items": []})

        def do_DELETE(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._answer({"kind": "Status", "status": "Success"})

        def _answer(self, body: dict[str, Any], code: int = 200) -> None:
            text = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = folder / "kubeconfig"
    config.write_text(KUBECONFIG.format(port=server.server_address[1]))
    try:
        yield cluster, config
    finally:
        server.shutdown()
        server.server_close()
        for process in cluster.running.values():
            process.kill()
            process.wait()
