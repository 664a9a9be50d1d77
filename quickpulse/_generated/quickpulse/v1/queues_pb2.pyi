from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Delivery(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DELIVERY_UNSPECIFIED: _ClassVar[Delivery]
    LEASED: _ClassVar[Delivery]
    TAKEN: _ClassVar[Delivery]

class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ACTION_UNSPECIFIED: _ClassVar[Action]
    ACK: _ClassVar[Action]
    NACK: _ClassVar[Action]
    RELEASE: _ClassVar[Action]
    EXTEND: _ClassVar[Action]
    DEAD_LETTER: _ClassVar[Action]

class Overflow(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OVERFLOW_UNSPECIFIED: _ClassVar[Overflow]
    REJECT: _ClassVar[Overflow]
    DROP_OLDEST: _ClassVar[Overflow]
DELIVERY_UNSPECIFIED: Delivery
LEASED: Delivery
TAKEN: Delivery
ACTION_UNSPECIFIED: Action
ACK: Action
NACK: Action
RELEASE: Action
EXTEND: Action
DEAD_LETTER: Action
OVERFLOW_UNSPECIFIED: Overflow
REJECT: Overflow
DROP_OLDEST: Overflow

class Properties(_message.Message):
    __slots__ = ("id", "headers", "content_type", "priority", "delay_ms", "ttl_ms", "dedup_key", "reply_to", "correlation_id")
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    DEDUP_KEY_FIELD_NUMBER: _ClassVar[int]
    REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    headers: _containers.ScalarMap[str, str]
    content_type: str
    priority: int
    delay_ms: int
    ttl_ms: int
    dedup_key: str
    reply_to: str
    correlation_id: str
    def __init__(self, id: _Optional[str] = ..., headers: _Optional[_Mapping[str, str]] = ..., content_type: _Optional[str] = ..., priority: _Optional[int] = ..., delay_ms: _Optional[int] = ..., ttl_ms: _Optional[int] = ..., dedup_key: _Optional[str] = ..., reply_to: _Optional[str] = ..., correlation_id: _Optional[str] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("payloads", "common", "properties", "texts")
    class PropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: Properties
        def __init__(self, key: _Optional[int] = ..., value: _Optional[_Union[Properties, _Mapping]] = ...) -> None: ...
    PAYLOADS_FIELD_NUMBER: _ClassVar[int]
    COMMON_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    payloads: _containers.RepeatedScalarFieldContainer[bytes]
    common: Properties
    properties: _containers.MessageMap[int, Properties]
    texts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, payloads: _Optional[_Iterable[bytes]] = ..., common: _Optional[_Union[Properties, _Mapping]] = ..., properties: _Optional[_Mapping[int, Properties]] = ..., texts: _Optional[_Iterable[str]] = ...) -> None: ...

class SequenceRange(_message.Message):
    __slots__ = ("first", "last")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ...) -> None: ...

class ReceiptRange(_message.Message):
    __slots__ = ("first", "last")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "reason", "message", "retry_after_ms")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    message: str
    retry_after_ms: int
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...

class Rejection(_message.Message):
    __slots__ = ("index", "error")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    index: int
    error: Error
    def __init__(self, index: _Optional[int] = ..., error: _Optional[_Union[Error, _Mapping]] = ...) -> None: ...

class PublishRequest(_message.Message):
    __slots__ = ("queue", "batch", "batch_key", "atomic")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    BATCH_KEY_FIELD_NUMBER: _ClassVar[int]
    ATOMIC_FIELD_NUMBER: _ClassVar[int]
    queue: str
    batch: Batch
    batch_key: bytes
    atomic: bool
    def __init__(self, queue: _Optional[str] = ..., batch: _Optional[_Union[Batch, _Mapping]] = ..., batch_key: _Optional[bytes] = ..., atomic: bool = ...) -> None: ...

class PublishReply(_message.Message):
    __slots__ = ("sequences", "duplicates", "rejections")
    SEQUENCES_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    REJECTIONS_FIELD_NUMBER: _ClassVar[int]
    sequences: _containers.RepeatedCompositeFieldContainer[SequenceRange]
    duplicates: _containers.RepeatedScalarFieldContainer[int]
    rejections: _containers.RepeatedCompositeFieldContainer[Rejection]
    def __init__(self, sequences: _Optional[_Iterable[_Union[SequenceRange, _Mapping]]] = ..., duplicates: _Optional[_Iterable[int]] = ..., rejections: _Optional[_Iterable[_Union[Rejection, _Mapping]]] = ...) -> None: ...

class PullRequest(_message.Message):
    __slots__ = ("queues", "max_messages", "max_bytes", "wait_ms", "lease_ms", "delivery", "with_enqueued_at")
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    WAIT_MS_FIELD_NUMBER: _ClassVar[int]
    LEASE_MS_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    WITH_ENQUEUED_AT_FIELD_NUMBER: _ClassVar[int]
    queues: _containers.RepeatedScalarFieldContainer[str]
    max_messages: int
    max_bytes: int
    wait_ms: int
    lease_ms: int
    delivery: Delivery
    with_enqueued_at: bool
    def __init__(self, queues: _Optional[_Iterable[str]] = ..., max_messages: _Optional[int] = ..., max_bytes: _Optional[int] = ..., wait_ms: _Optional[int] = ..., lease_ms: _Optional[int] = ..., delivery: _Optional[_Union[Delivery, str]] = ..., with_enqueued_at: bool = ...) -> None: ...

class DeadLetter(_message.Message):
    __slots__ = ("source", "reason", "deliveries")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DELIVERIES_FIELD_NUMBER: _ClassVar[int]
    source: str
    reason: str
    deliveries: int
    def __init__(self, source: _Optional[str] = ..., reason: _Optional[str] = ..., deliveries: _Optional[int] = ...) -> None: ...

class Deliveries(_message.Message):
    __slots__ = ("queue", "batch", "first_receipt", "lease_ms", "delivery_counts", "enqueued_at_ms", "sequences", "dead_letters")
    class DeadLettersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: DeadLetter
        def __init__(self, key: _Optional[int] = ..., value: _Optional[_Union[DeadLetter, _Mapping]] = ...) -> None: ...
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    FIRST_RECEIPT_FIELD_NUMBER: _ClassVar[int]
    LEASE_MS_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_COUNTS_FIELD_NUMBER: _ClassVar[int]
    ENQUEUED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCES_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    queue: str
    batch: Batch
    first_receipt: int
    lease_ms: int
    delivery_counts: _containers.RepeatedScalarFieldContainer[int]
    enqueued_at_ms: _containers.RepeatedScalarFieldContainer[int]
    sequences: _containers.RepeatedScalarFieldContainer[int]
    dead_letters: _containers.MessageMap[int, DeadLetter]
    def __init__(self, queue: _Optional[str] = ..., batch: _Optional[_Union[Batch, _Mapping]] = ..., first_receipt: _Optional[int] = ..., lease_ms: _Optional[int] = ..., delivery_counts: _Optional[_Iterable[int]] = ..., enqueued_at_ms: _Optional[_Iterable[int]] = ..., sequences: _Optional[_Iterable[int]] = ..., dead_letters: _Optional[_Mapping[int, DeadLetter]] = ...) -> None: ...

class SettleRequest(_message.Message):
    __slots__ = ("queue", "receipts", "action", "delay_ms", "lease_ms", "reason")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    DELAY_MS_FIELD_NUMBER: _ClassVar[int]
    LEASE_MS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    queue: str
    receipts: _containers.RepeatedCompositeFieldContainer[ReceiptRange]
    action: Action
    delay_ms: int
    lease_ms: int
    reason: str
    def __init__(self, queue: _Optional[str] = ..., receipts: _Optional[_Iterable[_Union[ReceiptRange, _Mapping]]] = ..., action: _Optional[_Union[Action, str]] = ..., delay_ms: _Optional[int] = ..., lease_ms: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class SettleReply(_message.Message):
    __slots__ = ("settled", "unknown")
    SETTLED_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    settled: int
    unknown: _containers.RepeatedCompositeFieldContainer[ReceiptRange]
    def __init__(self, settled: _Optional[int] = ..., unknown: _Optional[_Iterable[_Union[ReceiptRange, _Mapping]]] = ...) -> None: ...

class SubscribeRequest(_message.Message):
    __slots__ = ("queue", "credit_messages", "credit_bytes", "lease_ms", "delivery", "release_on_disconnect", "with_enqueued_at")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    CREDIT_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    CREDIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    LEASE_MS_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    RELEASE_ON_DISCONNECT_FIELD_NUMBER: _ClassVar[int]
    WITH_ENQUEUED_AT_FIELD_NUMBER: _ClassVar[int]
    queue: str
    credit_messages: int
    credit_bytes: int
    lease_ms: int
    delivery: Delivery
    release_on_disconnect: bool
    with_enqueued_at: bool
    def __init__(self, queue: _Optional[str] = ..., credit_messages: _Optional[int] = ..., credit_bytes: _Optional[int] = ..., lease_ms: _Optional[int] = ..., delivery: _Optional[_Union[Delivery, str]] = ..., release_on_disconnect: bool = ..., with_enqueued_at: bool = ...) -> None: ...

class SubscribeReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Credit(_message.Message):
    __slots__ = ("subscription_id", "add_messages", "add_bytes")
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    ADD_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    ADD_BYTES_FIELD_NUMBER: _ClassVar[int]
    subscription_id: int
    add_messages: int
    add_bytes: int
    def __init__(self, subscription_id: _Optional[int] = ..., add_messages: _Optional[int] = ..., add_bytes: _Optional[int] = ...) -> None: ...

class Unsubscribe(_message.Message):
    __slots__ = ("subscription_id",)
    SUBSCRIPTION_ID_FIELD_NUMBER: _ClassVar[int]
    subscription_id: int
    def __init__(self, subscription_id: _Optional[int] = ...) -> None: ...

class SubscriptionEnded(_message.Message):
    __slots__ = ("error",)
    ERROR_FIELD_NUMBER: _ClassVar[int]
    error: Error
    def __init__(self, error: _Optional[_Union[Error, _Mapping]] = ...) -> None: ...

class Policy(_message.Message):
    __slots__ = ("capacity", "capacity_bytes", "overflow", "lease_ms", "max_deliveries", "dead_letter_queue", "retry_delays_ms", "dedup_window_ms", "idle_expiry_ms")
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_BYTES_FIELD_NUMBER: _ClassVar[int]
    OVERFLOW_FIELD_NUMBER: _ClassVar[int]
    LEASE_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_DELIVERIES_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTER_QUEUE_FIELD_NUMBER: _ClassVar[int]
    RETRY_DELAYS_MS_FIELD_NUMBER: _ClassVar[int]
    DEDUP_WINDOW_MS_FIELD_NUMBER: _ClassVar[int]
    IDLE_EXPIRY_MS_FIELD_NUMBER: _ClassVar[int]
    capacity: int
    capacity_bytes: int
    overflow: Overflow
    lease_ms: int
    max_deliveries: int
    dead_letter_queue: str
    retry_delays_ms: _containers.RepeatedScalarFieldContainer[int]
    dedup_window_ms: int
    idle_expiry_ms: int
    def __init__(self, capacity: _Optional[int] = ..., capacity_bytes: _Optional[int] = ..., overflow: _Optional[_Union[Overflow, str]] = ..., lease_ms: _Optional[int] = ..., max_deliveries: _Optional[int] = ..., dead_letter_queue: _Optional[str] = ..., retry_delays_ms: _Optional[_Iterable[int]] = ..., dedup_window_ms: _Optional[int] = ..., idle_expiry_ms: _Optional[int] = ...) -> None: ...

class QueueInfo(_message.Message):
    __slots__ = ("name", "ready", "leased", "delayed", "size_bytes", "oldest_ms", "paused", "publish_paused", "waiters", "policy", "has_policy", "counts")
    class CountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    LEASED_FIELD_NUMBER: _ClassVar[int]
    DELAYED_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    OLDEST_MS_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    PUBLISH_PAUSED_FIELD_NUMBER: _ClassVar[int]
    WAITERS_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    HAS_POLICY_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    ready: int
    leased: int
    delayed: int
    size_bytes: int
    oldest_ms: int
    paused: bool
    publish_paused: bool
    waiters: int
    policy: Policy
    has_policy: bool
    counts: _containers.ScalarMap[str, int]
    def __init__(self, name: _Optional[str] = ..., ready: _Optional[int] = ..., leased: _Optional[int] = ..., delayed: _Optional[int] = ..., size_bytes: _Optional[int] = ..., oldest_ms: _Optional[int] = ..., paused: bool = ..., publish_paused: bool = ..., waiters: _Optional[int] = ..., policy: _Optional[_Union[Policy, _Mapping]] = ..., has_policy: bool = ..., counts: _Optional[_Mapping[str, int]] = ...) -> None: ...

class ListQueuesRequest(_message.Message):
    __slots__ = ("prefix", "max_queues", "page_token")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUES_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    max_queues: int
    page_token: str
    def __init__(self, prefix: _Optional[str] = ..., max_queues: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListQueuesReply(_message.Message):
    __slots__ = ("queues", "next_page_token")
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    queues: _containers.RepeatedCompositeFieldContainer[QueueInfo]
    next_page_token: str
    def __init__(self, queues: _Optional[_Iterable[_Union[QueueInfo, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetQueueRequest(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: str
    def __init__(self, queue: _Optional[str] = ...) -> None: ...

class SetPolicyRequest(_message.Message):
    __slots__ = ("queue", "policy")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    queue: str
    policy: Policy
    def __init__(self, queue: _Optional[str] = ..., policy: _Optional[_Union[Policy, _Mapping]] = ...) -> None: ...

class PauseRequest(_message.Message):
    __slots__ = ("queue", "publishes")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PUBLISHES_FIELD_NUMBER: _ClassVar[int]
    queue: str
    publishes: bool
    def __init__(self, queue: _Optional[str] = ..., publishes: bool = ...) -> None: ...

class ResumeRequest(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: str
    def __init__(self, queue: _Optional[str] = ...) -> None: ...

class PurgeRequest(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: str
    def __init__(self, queue: _Optional[str] = ...) -> None: ...

class DeleteQueueRequest(_message.Message):
    __slots__ = ("queue",)
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    queue: str
    def __init__(self, queue: _Optional[str] = ...) -> None: ...

class PeekRequest(_message.Message):
    __slots__ = ("queue", "max_messages", "max_bytes")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    queue: str
    max_messages: int
    max_bytes: int
    def __init__(self, queue: _Optional[str] = ..., max_messages: _Optional[int] = ..., max_bytes: _Optional[int] = ...) -> None: ...

class RedriveRequest(_message.Message):
    __slots__ = ("queue", "target", "max_messages")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    queue: str
    target: str
    max_messages: int
    def __init__(self, queue: _Optional[str] = ..., target: _Optional[str] = ..., max_messages: _Optional[int] = ...) -> None: ...

class Count(_message.Message):
    __slots__ = ("messages",)
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    messages: int
    def __init__(self, messages: _Optional[int] = ...) -> None: ...

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ServerInfo(_message.Message):
    __slots__ = ("version", "instance", "limits", "capabilities")
    class LimitsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    version: str
    instance: str
    limits: _containers.ScalarMap[str, int]
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, version: _Optional[str] = ..., instance: _Optional[str] = ..., limits: _Optional[_Mapping[str, int]] = ..., capabilities: _Optional[_Iterable[str]] = ...) -> None: ...

class ClientFrame(_message.Message):
    __slots__ = ("request_id", "publish", "pull", "settle", "subscribe", "credit", "unsubscribe", "list_queues", "get_queue", "set_policy", "pause", "resume", "purge", "delete_queue", "peek", "redrive", "get_server_info")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PUBLISH_FIELD_NUMBER: _ClassVar[int]
    PULL_FIELD_NUMBER: _ClassVar[int]
    SETTLE_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBE_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    UNSUBSCRIBE_FIELD_NUMBER: _ClassVar[int]
    LIST_QUEUES_FIELD_NUMBER: _ClassVar[int]
    GET_QUEUE_FIELD_NUMBER: _ClassVar[int]
    SET_POLICY_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    PURGE_FIELD_NUMBER: _ClassVar[int]
    DELETE_QUEUE_FIELD_NUMBER: _ClassVar[int]
    PEEK_FIELD_NUMBER: _ClassVar[int]
    REDRIVE_FIELD_NUMBER: _ClassVar[int]
    GET_SERVER_INFO_FIELD_NUMBER: _ClassVar[int]
    request_id: int
    publish: PublishRequest
    pull: PullRequest
    settle: SettleRequest
    subscribe: SubscribeRequest
    credit: Credit
    unsubscribe: Unsubscribe
    list_queues: ListQueuesRequest
    get_queue: GetQueueRequest
    set_policy: SetPolicyRequest
    pause: PauseRequest
    resume: ResumeRequest
    purge: PurgeRequest
    delete_queue: DeleteQueueRequest
    peek: PeekRequest
    redrive: RedriveRequest
    get_server_info: GetServerInfoRequest
    def __init__(self, request_id: _Optional[int] = ..., publish: _Optional[_Union[PublishRequest, _Mapping]] = ..., pull: _Optional[_Union[PullRequest, _Mapping]] = ..., settle: _Optional[_Union[SettleRequest, _Mapping]] = ..., subscribe: _Optional[_Union[SubscribeRequest, _Mapping]] = ..., credit: _Optional[_Union[Credit, _Mapping]] = ..., unsubscribe: _Optional[_Union[Unsubscribe, _Mapping]] = ..., list_queues: _Optional[_Union[ListQueuesRequest, _Mapping]] = ..., get_queue: _Optional[_Union[GetQueueRequest, _Mapping]] = ..., set_policy: _Optional[_Union[SetPolicyRequest, _Mapping]] = ..., pause: _Optional[_Union[PauseRequest, _Mapping]] = ..., resume: _Optional[_Union[ResumeRequest, _Mapping]] = ..., purge: _Optional[_Union[PurgeRequest, _Mapping]] = ..., delete_queue: _Optional[_Union[DeleteQueueRequest, _Mapping]] = ..., peek: _Optional[_Union[PeekRequest, _Mapping]] = ..., redrive: _Optional[_Union[RedriveRequest, _Mapping]] = ..., get_server_info: _Optional[_Union[GetServerInfoRequest, _Mapping]] = ...) -> None: ...

class ServerFrame(_message.Message):
    __slots__ = ("request_id", "publish", "deliveries", "settle", "subscribe", "subscription_ended", "list_queues", "queue", "count", "server_info", "error")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PUBLISH_FIELD_NUMBER: _ClassVar[int]
    DELIVERIES_FIELD_NUMBER: _ClassVar[int]
    SETTLE_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBE_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTION_ENDED_FIELD_NUMBER: _ClassVar[int]
    LIST_QUEUES_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SERVER_INFO_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    request_id: int
    publish: PublishReply
    deliveries: Deliveries
    settle: SettleReply
    subscribe: SubscribeReply
    subscription_ended: SubscriptionEnded
    list_queues: ListQueuesReply
    queue: QueueInfo
    count: Count
    server_info: ServerInfo
    error: Error
    def __init__(self, request_id: _Optional[int] = ..., publish: _Optional[_Union[PublishReply, _Mapping]] = ..., deliveries: _Optional[_Union[Deliveries, _Mapping]] = ..., settle: _Optional[_Union[SettleReply, _Mapping]] = ..., subscribe: _Optional[_Union[SubscribeReply, _Mapping]] = ..., subscription_ended: _Optional[_Union[SubscriptionEnded, _Mapping]] = ..., list_queues: _Optional[_Union[ListQueuesReply, _Mapping]] = ..., queue: _Optional[_Union[QueueInfo, _Mapping]] = ..., count: _Optional[_Union[Count, _Mapping]] = ..., server_info: _Optional[_Union[ServerInfo, _Mapping]] = ..., error: _Optional[_Union[Error, _Mapping]] = ...) -> None: ...
