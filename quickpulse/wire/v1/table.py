"""The table of v1: one row for each request, by which gRPC, Connect, WebSocket and HTTP are all driven.

A new request is a message in proto/quickpulse/v1/queues.proto, a class in `quickpulse.requests`, a method of `IBroker`
under the row's name, and a row here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from quickpulse import requests as words
from quickpulse._generated.quickpulse.v1 import queues_pb2 as pb
from quickpulse.errors import QuickPulseError
from quickpulse.wire.v1 import administration, batches, messages
from quickpulse.wire.v1.errors import fill_error, read_error
from quickpulse.wire.v1.forms import Form, plain

SERVICE = "quickpulse.v1.Queues"


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent to a client: the answer to requests, or one that comes by itself.

    :param field: of ServerFrame.
    :param kind: its class.
    :param form: how it is written.
    """

    field: str
    kind: type
    form: Form[Any]


PUBLISH = Reply(
    "publish",
    words.PublishReply,
    Form(pb.PublishReply, messages.read_publish_reply, messages.fill_publish_reply),
)
DELIVERIES = Reply(
    "deliveries",
    words.Deliveries,
    Form(pb.Deliveries, batches.read_deliveries, batches.fill_deliveries),
)
SETTLE = Reply(
    "settle",
    words.SettleReply,
    Form(pb.SettleReply, messages.read_settle_reply, messages.fill_settle_reply),
)
SUBSCRIBE = Reply("subscribe", words.Subscribed, plain(words.Subscribed, pb.SubscribeReply))
ENDED = Reply(
    "subscription_ended",
    words.SubscriptionEnded,
    Form(pb.SubscriptionEnded, messages.read_ended, messages.fill_ended),
)
LIST_QUEUES = Reply(
    "list_queues",
    words.QueuePage,
    Form(pb.ListQueuesReply, administration.read_page, administration.fill_page),
)
QUEUE = Reply("queue", words.QueueInfo, Form(pb.QueueInfo, administration.read_queue, administration.fill_queue))
COUNT = Reply("count", words.Count, plain(words.Count, pb.Count))
SERVER_INFO = Reply(
    "server_info",
    words.ServerInfo,
    Form(pb.ServerInfo, administration.read_server, administration.fill_server),
)
ERROR: Reply = Reply("error", QuickPulseError, Form(pb.Error, read_error, fill_error))

REPLIES = (PUBLISH, DELIVERIES, SETTLE, SUBSCRIBE, ENDED, LIST_QUEUES, QUEUE, COUNT, SERVER_INFO, ERROR)

REPLY_KINDS = frozenset(reply.kind for reply in REPLIES)


@dataclass(frozen=True, slots=True)
class Row:
    """A request and its reply.

    :param name: of the method of `IBroker`, and of the field of ClientFrame.
    :param kind: the request's class.
    :param request: how the request is written.
    :param reply: None: it is not answered.
    :param rpc: the name of its RPC; "": it is there in frames only.
    :param http: method and path, where {queue} is the request's queue; None: it is there in frames only.
    """

    name: str
    kind: type
    request: Form[Any]
    reply: Reply | None = None
    rpc: str = ""
    http: tuple[str, str] | None = None

    @property
    def grpc_path(self) -> str:
        """What HTTP/2 names the RPC."""
        return f"/{SERVICE}/{self.rpc}" if self.rpc else ""


_OF_A_QUEUE = "/api/v1/queues/{queue}"

ROWS = (
    Row(
        "publish",
        words.Publish,
        Form(pb.PublishRequest, messages.read_publish, messages.fill_publish),
        PUBLISH,
        "Publish",
        ("POST", f"{_OF_A_QUEUE}/publish"),
    ),
    Row(
        "pull",
        words.Pull,
        Form(pb.PullRequest, messages.read_pull, messages.fill_pull),
        DELIVERIES,
        "Pull",
        ("POST", f"{_OF_A_QUEUE}/pull"),
    ),
    Row(
        "settle",
        words.Settle,
        Form(pb.SettleRequest, messages.read_settle, messages.fill_settle),
        SETTLE,
        "Settle",
        ("POST", f"{_OF_A_QUEUE}/settle"),
    ),
    Row(
        "subscribe",
        words.Subscribe,
        Form(pb.SubscribeRequest, messages.read_subscribe, messages.fill_subscribe),
        SUBSCRIBE,
        http=("GET", f"{_OF_A_QUEUE}/subscribe"),
    ),
    Row("credit", words.Credit, plain(words.Credit, pb.Credit)),
    Row("unsubscribe", words.Unsubscribe, plain(words.Unsubscribe, pb.Unsubscribe)),
    Row(
        "list_queues",
        words.ListQueues,
        plain(words.ListQueues, pb.ListQueuesRequest),
        LIST_QUEUES,
        "ListQueues",
        ("GET", "/api/v1/queues"),
    ),
    Row(
        "get_queue",
        words.GetQueue,
        plain(words.GetQueue, pb.GetQueueRequest),
        QUEUE,
        "GetQueue",
        ("GET", _OF_A_QUEUE),
    ),
    Row(
        "set_policy",
        words.SetPolicy,
        Form(pb.SetPolicyRequest, administration.read_set_policy, administration.fill_set_policy),
        QUEUE,
        "SetPolicy",
        ("POST", f"{_OF_A_QUEUE}/set_policy"),
    ),
    Row(
        "pause",
        words.Pause,
        plain(words.Pause, pb.PauseRequest),
        QUEUE,
        "Pause",
        ("POST", f"{_OF_A_QUEUE}/pause"),
    ),
    Row(
        "resume",
        words.Resume,
        plain(words.Resume, pb.ResumeRequest),
        QUEUE,
        "Resume",
        ("POST", f"{_OF_A_QUEUE}/resume"),
    ),
    Row(
        "purge",
        words.Purge,
        plain(words.Purge, pb.PurgeRequest),
        COUNT,
        "Purge",
        ("POST", f"{_OF_A_QUEUE}/purge"),
    ),
    Row(
        "delete_queue",
        words.DeleteQueue,
        plain(words.DeleteQueue, pb.DeleteQueueRequest),
        COUNT,
        "DeleteQueue",
        ("POST", f"{_OF_A_QUEUE}/delete_queue"),
    ),
    Row(
        "peek",
        words.Peek,
        plain(words.Peek, pb.PeekRequest),
        DELIVERIES,
        "Peek",
        ("POST", f"{_OF_A_QUEUE}/peek"),
    ),
    Row(
        "redrive",
        words.Redrive,
        plain(words.Redrive, pb.RedriveRequest),
        COUNT,
        "Redrive",
        ("POST", f"{_OF_A_QUEUE}/redrive"),
    ),
    Row(
        "get_server_info",
        words.GetServerInfo,
        plain(words.GetServerInfo, pb.GetServerInfoRequest),
        SERVER_INFO,
        "GetServerInfo",
        ("GET", "/api/v1/server"),
    ),
)

BY_NAME = {row.name: row for row in ROWS}

BY_KIND: dict[type, Row] = {row.kind: row for row in ROWS}

BY_GRPC_PATH = {row.grpc_path: row for row in ROWS if row.rpc}

CONNECT_PATH = f"/{SERVICE}/Connect"
