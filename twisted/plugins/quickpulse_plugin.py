"""Makes `twistd quickpulse` known. Only the name of the module is here: nothing is imported until it is chosen."""

from twisted.application.service import ServiceMaker

quickpulse = ServiceMaker(
    "QuickPulse", "quickpulse.tap", "An in-memory message queue over WebSocket or gRPC", "quickpulse"
)
