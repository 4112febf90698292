"""Unpacks the AWS CLI v2 out of its npm package: `unpack.py FOLDER`, where FOLDER holds node_modules.

The package carries the official bundle for x86-64 as a Lambda layer, whose links point into /opt: the program itself is
`awscli/v2/VERSION/dist/aws`.
"""

import pathlib
import platform
import shutil
import sys
import zipfile


def main(folder):
    layer = folder / "node_modules/@aws-cdk/asset-awscli-v2/lib/layer.zip"
    target = folder / "awscli"
    shutil.rmtree(target, ignore_errors=True)
    if platform.machine() != "x86_64":
        print("the AWS CLI v2 in npm is for x86-64 only: its test will be skipped")
        return
    with zipfile.ZipFile(layer) as archive:
        for entry in archive.infolist():
            parts = pathlib.PurePosixPath(entry.filename).parts
            if len(parts) < 4 or parts[:2] != ("awscli", "v2") or parts[3] != "dist" or entry.is_dir():
                continue
            path = target.joinpath(*parts[4:])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(entry))
    (target / "aws").chmod(0o755)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
