"""The server's certificate: its files read, and read again while connections go on.

It knows the files' names and what OpenSSL says of them, and no connection.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from stream.config import AuthConfig


@contextmanager
def told(auth: AuthConfig) -> Iterator[None]:
    """Say which files were wrong when something reads them.

    Raises:
        OSError: If one cannot be read, or they are none of their kind; it names them.
    """
    files = [path for path in (auth.tls_cert, auth.tls_key) if path is not None]
    for path in files:
        path.open("rb").close()
    try:
        yield
    except ssl.SSLError as exc:
        names = " and ".join(map(str, files))
        raise OSError(
            f"{names} are no certificate and its key: {exc.strerror}"
        ) from exc


def renew(context: ssl.SSLContext, auth: AuthConfig) -> None:
    """Let handshakes from now on have the certificate that the files hold now.

    Args:
        context: Of the port; if this raises, it is as it was.
        auth: Names the files.

    Raises:
        OSError: As of `told`.
    """
    assert auth.tls_cert is not None, "a port with TLS has a certificate"
    trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with told(auth):
        for one in (trial, context):  # half of what is wrong must not be taken
            # Without a password here, OpenSSL would ask whoever sits at the terminal.
            one.load_cert_chain(auth.tls_cert, auth.tls_key, password="")
