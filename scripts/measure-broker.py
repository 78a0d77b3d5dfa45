#!/usr/bin/env python3
"""What a message costs the broker at home, by how many came before it: CPU time of ElasticMQ's process.

  measure-broker.py PORT PID [--queues N] [--messages N] [--step N] [--batch N] [--attempts]

Sends, receives and deletes messages, --batch at a time, spread over N FIFO queues, and prints the cost of each step. With
--attempts each receive has a ReceiveRequestAttemptId."""

import argparse
import http.client
import json
import os
import time


class Queue:
    def __init__(self, port, name, batch, attempts):
        self.batch, self.attempts = batch, attempts
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.url = self.call("CreateQueue", QueueName=name, Attributes={"FifoQueue": "true"})["QueueUrl"]

    def call(self, action, **body):
        self.connection.request("POST", "/", json.dumps(body), {
            "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"AmazonSQS.{action}"})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{action} was answered {answer.status}: {text[:200]}")
        return json.loads(text or "{}")

    def pass_on(self, number):
        """A batch of messages, each of a group of its own, go in, come out and are deleted."""
        entries = [{"Id": str(i), "MessageBody": "x" * 300, "MessageGroupId": f"g{number}-{i}",
                    "MessageDeduplicationId": f"d{number}-{i}"} for i in range(self.batch)]
        self.call("SendMessageBatch", QueueUrl=self.url, Entries=entries)
        attempt = {"ReceiveRequestAttemptId": f"a{number}"} if self.attempts else {}
        came = self.call("ReceiveMessage", QueueUrl=self.url, MaxNumberOfMessages=self.batch, **attempt)["Messages"]
        self.call("DeleteMessageBatch", QueueUrl=self.url,
                  Entries=[{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(came)])
        return len(came)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("port", type=int)
    options.add_argument("pid", type=int)
    options.add_argument("--queues", type=int, default=1)
    options.add_argument("--messages", type=int, default=60000)
    options.add_argument("--step", type=int, default=10000)
    options.add_argument("--batch", type=int, default=10, choices=range(1, 11), metavar="1..10")
    options.add_argument("--attempts", action="store_true")
    chosen = options.parse_args()
    run = time.time_ns()
    queues = [Queue(chosen.port, f"cost-{run}-{i}.fifo", chosen.batch, chosen.attempts) for i in range(chosen.queues)]
    print(f"{chosen.queues} queue(s)\n{'messages before':>16}{'us of CPU each':>16}{'messages/s':>12}")
    sent = 0
    while sent < chosen.messages:
        before, began, count = cpu_seconds(chosen.pid), time.monotonic(), 0
        while count < chosen.step:
            count += queues[(sent + count) // chosen.batch % len(queues)].pass_on(sent + count)
        used, seconds = cpu_seconds(chosen.pid) - before, time.monotonic() - began
        print(f"{sent:>16,}{used / count * 1e6:>16,.0f}{count / seconds:>12,.0f}", flush=True)
        sent += count


if __name__ == "__main__":
    main()
