"""How much of each kind a second takes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from quickpulse.wire.http2.errors import ConnectionFault, ErrorCode
from quickpulse.wire.http2.floods import A_SECOND, FloodGate


class FloodGateTests(SynchronousTestCase):
    """FloodGate."""

    def test_each_kind_has_its_own_limit(self) -> None:
        """As many as the table says, one more is ENHANCE_YOUR_CALM, and it names the kind."""
        gate = FloodGate()
        for kind, most in A_SECOND.items():
            for _ in range(most):
                gate.passes(kind, 5.0)
            fault = self.assertRaises(ConnectionFault, gate.passes, kind, 5.9)
            self.assertEqual((fault.code, fault.reason), (ErrorCode.ENHANCE_YOUR_CALM, f"{kind} flood"))

    def test_another_second(self) -> None:
        """It begins with nothing counted."""
        gate = FloodGate()
        for second in range(5):
            for _ in range(A_SECOND["settings"]):
                gate.passes("settings", 100.0 + second)
        self.assertRaises(ConnectionFault, gate.passes, "settings", 104.99)
