"""A small SQS server that checks the AWS Signature Version 4 of each request by computing it from the secret."""

import datetime
import hashlib
import hmac
import http.server
import json
import re
import threading
import time

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request,"
    r" ?SignedHeaders=(?P<headers>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
MUST_BE_SIGNED = {"host", "x-amz-date", "content-type", "x-amz-target"}


def signature(secret, region, service, method, path, headers, body):
    """The signature of a request without a query; headers are those that are signed, in lower case."""
    canonical = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in sorted(headers))
    request = "\n".join([method, path, "", canonical, ";".join(sorted(headers)), hashlib.sha256(body).hexdigest()])
    time = headers["x-amz-date"]
    scope = f"{time[:8]}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", time, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in (*scope.split("/"), text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()


class Sqs:
    """Queues in memory: as much of SQS as one message's way takes."""

    def __init__(self):
        self.queues, self.attributes, self.actions = {}, {}, []

    def answer(self, action, request):
        self.actions.append(action)
        name = request.get("QueueName") or request["QueueUrl"].rsplit("/", 1)[1]
        if action == "CreateQueue":
            self.queues[name], self.attributes[name] = [], request["Attributes"]
        if name not in self.queues:
            return 400, {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no such queue"}
        return 200, getattr(self, action)(name, request)

    def CreateQueue(self, name, _):
        return {"QueueUrl": f"http://sqs.example/123456789012/{name}"}

    GetQueueUrl = CreateQueue

    def GetQueueAttributes(self, name, _):
        return {"Attributes": {"QueueArn": f"arn:aws:sqs:us-east-1:123456789012:{name}", **self.attributes[name]}}

    def SendMessageBatch(self, name, request):
        self.queues[name] += [{**entry, "count": 0, "visible": True} for entry in request["Entries"]]
        return {"Successful": [{"Id": entry["Id"], "MD5OfMessageBody": self.md5(entry)} for entry in request["Entries"]]}

    def ReceiveMessage(self, name, _):
        messages = [message for message in self.queues[name] if message["visible"]]
        for message in messages:
            message.update(count=message["count"] + 1, visible=False)
        return {"Messages": [self.received(message) for message in messages]} if messages else {}

    def ChangeMessageVisibilityBatch(self, name, request):
        for entry in request["Entries"]:
            self.find(name, entry)["visible"] = entry["VisibilityTimeout"] == 0
        return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]]}

    def DeleteMessageBatch(self, name, request):
        for entry in request["Entries"]:
            self.queues[name].remove(self.find(name, entry))
        return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]]}

    def find(self, name, entry):
        return next(m for m in self.queues[name] if m["MessageDeduplicationId"] == entry["ReceiptHandle"])

    @staticmethod
    def md5(message):
        return hashlib.md5(message["MessageBody"].encode()).hexdigest()

    def received(self, message):
        return {
            "MessageId": message["MessageDeduplicationId"],
            "ReceiptHandle": message["MessageDeduplicationId"],
            "Body": message["MessageBody"],
            "MD5OfBody": self.md5(message),
            "Attributes": {"MessageGroupId": message["MessageGroupId"], "ApproximateReceiveCount": str(message["count"])},
            "MessageAttributes": message["MessageAttributes"],
        }


class SignedSqs:
    """Serves Sqs on a free port to those who sign with this key, secret, region and session token."""

    def __init__(self, key, secret, region, token="", ahead_s=0):
        self.key, self.secret, self.region, self.token = key, secret, region, token
        self.ahead_s = ahead_s  # its clock is ahead of that of the machine
        self.faults = []
        self.sqs = Sqs()

    def fault(self, headers, body):
        """Why the request is refused, or None."""
        match = AUTHORIZATION.fullmatch(headers.get("authorization", ""))
        if not match:
            return "MissingAuthenticationToken"
        names = match["headers"].split(";")
        token = {"x-amz-security-token"} if self.token else set()
        if not (MUST_BE_SIGNED | token) <= set(names) <= set(headers):
            return "IncompleteSignature"
        if headers.get("x-amz-security-token", "") != self.token:
            return "InvalidClientTokenId"
        sent = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.ahead_s)
        if abs(now - sent) > datetime.timedelta(minutes=5):
            return "RequestExpired" if now > sent else "RequestInTheFuture"
        scope = (match["key"], match["date"], match["region"], match["service"])
        if scope != (self.key, headers["x-amz-date"][:8], self.region, "sqs"):
            return "InvalidClientTokenId"
        signed = {name: headers[name] for name in names}
        expected = signature(self.secret, self.region, "sqs", "POST", "/", signed, body)
        return None if hmac.compare_digest(expected, match["signature"]) else "SignatureDoesNotMatch"

    def __enter__(self):
        checker = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # the answer in one piece

            def do_POST(self):
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers["content-length"]))
                fault = checker.fault(headers, body)
                if fault:
                    checker.faults.append(fault)
                    status, answer = 403, {"__type": f"com.amazon.coral.service#{fault}", "message": fault}
                else:
                    status, answer = checker.sqs.answer(headers["x-amz-target"].split(".")[1], json.loads(body))
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def date_time_string(self, timestamp=None):
                return super().date_time_string(time.time() + checker.ahead_s)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
