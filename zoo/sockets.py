"""Sockets to listen at, and how their addresses are written."""

import errno
import socket


def address(host: str, port: int) -> str:
    """Returns host and port in one, the host in brackets if it is of IPv6.

    Example:

    >>> address("127.0.0.1", 8500), address("::1", 8500)
    ('127.0.0.1:8500', '[::1]:8500')
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def listening_socket(host: str, port: int, option: str) -> socket.socket:
    """Returns a socket that listens.

    Args:
        host: an address, or a name of this machine.
        port: 0 for any free one.
        option: of the command line that sets the port, for messages.

    Raises:
        ValueError: it cannot, with the reason.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise ValueError(
                f"Port {port} of {host} is in use. Stop the program that listens there, or choose "
                f"another port with {option}; 0 takes any free one."
            ) from error
        reason = getattr(error, "strerror", None) or error
        raise ValueError(
            f"Cannot listen at {address(host, port)}: {reason}. --host takes an address of this "
            f"machine, {option} a port from 0 to 65535."
        ) from error
