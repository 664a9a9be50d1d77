"""The table of v1: one row for each request, by which gRPC, Connect, WebSocket and HTTP are all driven.

A new request is a message in proto/quickpulse/v1/queues.proto, a class in `quickpulse.requests`, a method of `IBroker`
under the row's name, and a row here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quickpulse import requests as words
from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.wire.v1 import administration, batches, messages
from quickpulse.wire.v1.forms import Form, plain

SERVICE = "quickpulse.v1.Queues"


@dataclass(frozen=True, slots=True)
class Row:
    """A request and its reply.

    :param name: of the method of `IBroker`, and of the field of ClientFrame.
    :param kind: the request's class.
    :param request: how the request is written.
    :param reply: how the reply is; None: it is not answered.
    :param reply_field: of ServerFrame.
    :param rpc: the name of its RPC; "": it is there in frames only.
    :param http: method and path, where {queue} is the request's queue; None: it is there in frames only.
    """

    name: str
    kind: type
    request: Form[Any]
    reply: Form[Any] | None = None
    reply_field: str = ""
    rpc: str = ""
    http: tuple[str, str] | None = None

    @property
    def grpc_path(self) -> str:
        """What HTTP/2 names the RPC."""
        return f"/{SERVICE}/{self.rpc}" if self.rpc else ""


DELIVERIES: Form[words.Deliveries] = Form(pb.Deliveries, batches.read_deliveries, batches.fill_deliveries)
QUEUE: Form[words.QueueInfo] = Form(pb.QueueInfo, administration.read_queue, administration.fill_queue)
ENDED: Form[words.SubscriptionEnded] = Form(pb.SubscriptionEnded, messages.read_ended, messages.fill_ended)

_OF_A_QUEUE = "/api/v1/queues/{queue}"

ROWS = (
    Row(
        "publish",
        words.Publish,
        Form(pb.PublishRequest, messages.read_publish, messages.fill_publish),
        Form(pb.PublishReply, messages.read_publish_reply, messages.fill_publish_reply),
        "publish",
        "Publish",
        ("POST", f"{_OF_A_QUEUE}/publish"),
    ),
    Row(
        "pull",
        words.Pull,
        Form(pb.PullRequest, messages.read_pull, messages.fill_pull),
        DELIVERIES,
        "deliveries",
        "Pull",
        ("POST", f"{_OF_A_QUEUE}/pull"),
    ),
    Row(
        "settle",
        words.Settle,
        Form(pb.SettleRequest, messages.read_settle, messages.fill_settle),
        Form(pb.SettleReply, messages.read_settle_reply, messages.fill_settle_reply),
        "settle",
        "Settle",
        ("POST", f"{_OF_A_QUEUE}/settle"),
    ),
    Row(
        "subscribe",
        words.Subscribe,
        Form(pb.SubscribeRequest, messages.read_subscribe, messages.fill_subscribe),
        plain(words.Subscribed, pb.SubscribeReply),
        "subscribe",
        http=("GET", f"{_OF_A_QUEUE}/subscribe"),
    ),
    Row("credit", words.Credit, plain(words.Credit, pb.Credit)),
    Row("unsubscribe", words.Unsubscribe, plain(words.Unsubscribe, pb.Unsubscribe)),
    Row(
        "list_queues",
        words.ListQueues,
        plain(words.ListQueues, pb.ListQueuesRequest),
        Form(pb.ListQueuesReply, administration.read_queues, administration.fill_queues),
        "list_queues",
        "ListQueues",
        ("GET", "/api/v1/queues"),
    ),
    Row(
        "get_queue",
        words.GetQueue,
        plain(words.GetQueue, pb.GetQueueRequest),
        QUEUE,
        "queue",
        "GetQueue",
        ("GET", _OF_A_QUEUE),
    ),
    Row(
        "set_policy",
        words.SetPolicy,
        Form(pb.SetPolicyRequest, administration.read_set_policy, administration.fill_set_policy),
        QUEUE,
        "queue",
        "SetPolicy",
        ("POST", f"{_OF_A_QUEUE}/set_policy"),
    ),
    Row(
        "pause",
        words.Pause,
        plain(words.Pause, pb.PauseRequest),
        QUEUE,
        "queue",
        "Pause",
        ("POST", f"{_OF_A_QUEUE}/pause"),
    ),
    Row(
        "resume",
        words.Resume,
        plain(words.Resume, pb.ResumeRequest),
        QUEUE,
        "queue",
        "Resume",
        ("POST", f"{_OF_A_QUEUE}/resume"),
    ),
    Row(
        "purge",
        words.Purge,
        plain(words.Purge, pb.PurgeRequest),
        plain(words.Count, pb.PurgeReply, messages="purged"),
        "purge",
        "Purge",
        ("POST", f"{_OF_A_QUEUE}/purge"),
    ),
    Row(
        "delete_queue",
        words.DeleteQueue,
        plain(words.DeleteQueue, pb.DeleteQueueRequest),
        plain(words.Count, pb.DeleteQueueReply, messages="deleted"),
        "delete_queue",
        "DeleteQueue",
        ("POST", f"{_OF_A_QUEUE}/delete_queue"),
    ),
    Row(
        "peek",
        words.Peek,
        Form(pb.PeekRequest, administration.read_peek, plain(words.Peek, pb.PeekRequest).fill),
        DELIVERIES,
        "deliveries",
        "Peek",
        ("POST", f"{_OF_A_QUEUE}/peek"),
    ),
    Row(
        "redrive",
        words.Redrive,
        plain(words.Redrive, pb.RedriveRequest),
        plain(words.Count, pb.RedriveReply, messages="moved"),
        "redrive",
        "Redrive",
        ("POST", f"{_OF_A_QUEUE}/redrive"),
    ),
    Row(
        "get_server_info",
        words.GetServerInfo,
        plain(words.GetServerInfo, pb.GetServerInfoRequest),
        Form(pb.ServerInfo, administration.read_server, administration.fill_server),
        "server_info",
        "GetServerInfo",
        ("GET", "/api/v1/server"),
    ),
)

BY_NAME = {row.name: row for row in ROWS}

BY_KIND = {row.kind: row for row in ROWS}

BY_GRPC_PATH = {row.grpc_path: row for row in ROWS if row.rpc}

CONNECT_PATH = f"/{SERVICE}/Connect"
