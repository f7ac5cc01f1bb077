"""Stands between us and an object store, and breaks what it is told to.

    s3_proxy.py PORT STORE_PORT FILE

FILE says what becomes of the next requests, one word each, taken from its front:
"503" answers SlowDown, "500" InternalError, "cut" closes the connection without an
answer, "lost" passes the request on and then closes the connection, "200" answers
200 with an error of the kind that comes after that, "hang" never answers, "slow"
answers a byte at a time, "pass" passes the request on.  Without a word requests are
passed on as they are.  "part:503" waits for a request of that kind: begin, part or
complete (an upload), abort (one), list, uploads, get (an object).
"""
import fcntl
import http.client
import http.server
import sys
import time

port, store, orders = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


def kind_of(method, path):
    query = path.partition("?")[2]
    if method == "POST":
        return "begin" if query.startswith("uploads") else "complete"
    if "uploadId=" in query:
        return {"PUT": "part", "DELETE": "abort"}.get(method, "")
    if method == "GET" and not query:
        return "get"
    return "list" if "list-type=" in query else "uploads" if "uploads=" in query else ""


def next_order(kind):
    with open(orders, "r+") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        words = f.read().split()
        wanted, _, order = words[0].rpartition(":") if words else ("", "", "")
        if not words or wanted not in ("", kind):
            return ""
        f.seek(0)
        f.truncate()
        f.write(" ".join(words[1:]))
        return order


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        order = next_order(kind_of(self.command, self.path))
        if order == "cut":
            self.close_connection = True
            return
        if order == "hang":
            self.connection.recv(1)  # the other end closes it some day
            self.close_connection = True
            return
        if order in ("500", "503"):
            self.answer(int(order), b"<Error><Code>%s</Code></Error>" % (b"SlowDown" if order == "503" else b"InternalError"))
            return
        if order == "200":
            self.answer(200, b"<?xml version='1.0'?>\n   <Error><Code>InternalError</Code></Error>")
            return
        connection = http.client.HTTPConnection("127.0.0.1", store, timeout=30)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        data = response.read()
        if order == "lost":
            self.close_connection = True
            return
        self.answer(response.status, data, response.getheaders(), 0.1 if order == "slow" else 0)

    def answer(self, status, body, headers=(), pause=0):
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        length = dict((k.lower(), v) for k, v in headers).get("content-length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command == "HEAD":
            return
        if not pause:
            self.wfile.write(body)
            return
        try:
            for i in range(len(body)):
                self.wfile.write(body[i:i + 1])
                time.sleep(pause)
        except OSError:
            self.close_connection = True  # the other end would not wait

    do_GET = do_PUT = do_DELETE = do_HEAD = do_POST = handle_any

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
