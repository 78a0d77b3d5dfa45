#!/usr/bin/env python3
"""Joins images of several architectures into one, an archive in the format of OCI: image-index.py NAME OUT.tar SAVED.tar...

Each SAVED.tar is what docker save has written, of one image. Registries take the result as it is, and give each machine the
image of its architecture: skopeo copy --all oci-archive:OUT.tar docker://... Prints the digest of the whole. The same
images always give the same archive."""

import gzip
import hashlib
import io
import json
import sys
import tarfile

TYPE = "application/vnd.oci.image."


class Layout:
    """The archive that is written: its blobs are named by their digests, and each is written once."""

    def __init__(self, tar):
        self.tar = tar
        self.written = set()

    def file(self, name, data):
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        entry.mode = 0o644
        self.tar.addfile(entry, io.BytesIO(data))

    def blob(self, kind, data):
        """Writes data, and describes it."""
        digest = hashlib.sha256(data).hexdigest()
        if digest not in self.written:
            self.written.add(digest)
            self.file(f"blobs/sha256/{digest}", data)
        return {"mediaType": f"{TYPE}{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    def document(self, kind, value):
        return self.blob(kind, as_json(value))


def as_json(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def read(tar, name):
    with tar.extractfile(name) as file:
        return file.read()


def layer(data):
    """A layer is compressed, and its time is not in it."""
    return data if data[:2] == b"\x1f\x8b" else gzip.compress(data, 9, mtime=0)


def add_image(layout, path):
    """Adds the only image of what docker save has written. Its configuration stays as it is, with its health check."""
    with tarfile.open(path) as saved:
        saved_image, = json.loads(read(saved, "manifest.json"))
        config = read(saved, saved_image["Config"])
        about = json.loads(config)
        manifest = {"schemaVersion": 2, "mediaType": f"{TYPE}manifest.v1+json",
                    "config": layout.blob("config.v1+json", config),
                    "layers": [layout.blob("layer.v1.tar+gzip", layer(read(saved, name))) for name in saved_image["Layers"]]}
    described = layout.document("manifest.v1+json", manifest)
    described["platform"] = {key: about[key] for key in ("architecture", "os", "variant") if about.get(key)}
    return described


def write(layout, name, paths):
    """Prints the digest of the whole."""
    images = [add_image(layout, path) for path in paths]
    platforms = [json.dumps(image["platform"]) for image in images]
    if len(set(platforms)) != len(platforms):
        sys.exit(f"image-index.py: two images are for the same platform: {platforms}")
    whole = layout.document("index.v1+json", {"schemaVersion": 2, "mediaType": f"{TYPE}index.v1+json", "manifests": images})
    whole["annotations"] = {"org.opencontainers.image.ref.name": name}
    layout.file("index.json", as_json({"schemaVersion": 2, "manifests": [whole]}))
    layout.file("oci-layout", as_json({"imageLayoutVersion": "1.0.0"}))
    print(whole["digest"])


def main(name, out, *paths):
    with tarfile.open(out, "w", format=tarfile.USTAR_FORMAT) as tar:
        write(Layout(tar), name, paths)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit("usage: image-index.py NAME OUT.tar SAVED.tar...")
    main(*sys.argv[1:])
