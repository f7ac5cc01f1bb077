"""A schema registry that does as it is told: registry.py PORT DIRECTORY.

DIRECTORY/control.json says what it holds and how it answers, and is read anew for each request:
  {"mode": "ok", "user": "u:p" or null, "answers": {path: [status, body, n]}}, with n bytes in the place of %FILL%
Every request becomes a line of DIRECTORY/requests: time TAB path TAB user TAB body, as JSON.
Paths of requests that are not GET begin with the method: "POST /subjects/s/versions".
With DIRECTORY/tls.pem (key and certificate) it speaks TLS.
Modes: ok; plain (ok, but without GUIDs, and with a 404 that is not the registry's own for what is no int); error (500); slow (a byte a second); huge (without end); redirect (to /elsewhere); malformed (no
JSON); lost (a 404 that is not the registry's own).
"""
import base64
import json
import os
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

directory = sys.argv[2]
types = [200, '["JSON", "PROTOBUF", "AVRO"]', 0]
none = [404, '{"error_code": 40403, "message": "Schema not found"}', 0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, body, **headers):
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def answer_without_end(self, piece, pause):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
            time.sleep(pause)

    def do_GET(self):
        self.take(self.path, "")

    def do_POST(self):
        self.take(f"{self.command} {self.path}", self.rfile.read(int(self.headers["Content-Length"])).decode())

    do_PUT = do_POST

    def take(self, path, sent):
        with open(os.path.join(directory, "control.json"), encoding="utf-8") as f:
            control = json.load(f)
        word = self.headers.get("Authorization", "")
        user = base64.b64decode(word[6:]).decode() if word.startswith("Basic ") else ""
        with open(os.path.join(directory, "requests"), "a", encoding="utf-8") as f:
            f.write(f"{time.time():.3f}\t{path}\t{user}\t{json.dumps(sent)}\n")
        mode = control["mode"]
        if mode == "error":
            self.answer(500, '{"error_code": 50001, "message": "no storage"}')
        elif mode == "slow":
            self.answer_without_end(b" ", 1)
        elif mode == "huge":
            self.answer_without_end(b" " * 65536, 0)
        elif mode == "redirect":
            self.answer(302, "", Location="/elsewhere")
        elif mode == "malformed":
            self.answer(200, '{"schema": "\\"string\\"')
        elif mode == "lost":
            self.answer(404, '{"error_code": 404, "message": "no such page"}')
        elif mode == "plain" and self.is_unheard(path):
            self.answer(404, "")
        elif control["user"] is not None and user != control["user"]:
            self.answer(401, '{"error_code": 40101, "message": "who are you"}')
        else:
            status, body, size = control["answers"].get(path, none if path != "/schemas/types" else types)
            self.answer(status, body.replace("%FILL%", "x" * size))

    @staticmethod
    def is_unheard(path):
        last = path.rsplit("/", 1)[1]
        return path.startswith("/schemas/guids/") or path.startswith("/schemas/ids/") and int(last) > 2147483647

    def handle(self):
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
if os.path.exists(os.path.join(directory, "tls.pem")):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(directory, "tls.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
