"""The security gateway: keys under lock, permissions, rate limits, and the record of access."""

from dino_os.security_gateway.face import SecurityGateway
from dino_os.security_gateway.model import AuditEntry

__all__ = ["AuditEntry", "SecurityGateway"]
