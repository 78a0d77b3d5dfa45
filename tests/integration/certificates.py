"""Certificates of an authority that exists for the length of a test run."""

import atexit
import datetime
import functools
import ipaddress
import pathlib
import shutil
import tempfile
import uuid

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def _name(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


class Authority:
    """Its certificate is in the file `path`."""

    def __init__(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="authority-"))
        atexit.register(shutil.rmtree, folder)
        self.path, self.key = str(folder / "ca.pem"), ec.generate_private_key(ec.SECP256R1())
        self.name = _name(f"test authority {uuid.uuid4()}")
        certificate = self._sign(self.name, self.key, x509.BasicConstraints(ca=True, path_length=0))
        pathlib.Path(self.path).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, name, key, *extensions):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (x509.CertificateBuilder().subject_name(name).issuer_name(self.name).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
                   .not_valid_after(now + datetime.timedelta(days=1)))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, folder, host="127.0.0.1"):
        """Writes a new server's cert.pem and key.pem into the folder; returns the certificate's serial number."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        certificate = self._sign(_name(host), key, names)
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption())
        (folder / "key.pem").touch(0o600)
        (folder / "key.pem").write_bytes(pem)
        (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return certificate.serial_number


@functools.cache
def authority():
    return Authority()
