"""Hold a wheel against what it may contain: the package and nothing else. Usage: wheel.py FILE"""

import sys
import zipfile

FOLDERS = ("schemas", "policies", "prompts", "tools", "nodes", "graphs", "runtime")
FILES = ("__init__.py", "__main__.py", "py.typed")
ENDINGS = (".py", ".yaml", ".md", ".typed", ".html", ".css", ".js", ".svg")

names = zipfile.ZipFile(sys.argv[1]).namelist()
strays = []
for name in names:
    top, _, rest = name.partition("/")
    if top.endswith(".dist-info"):
        continue
    if top != "assent" or not (rest in FILES or rest.split("/")[0] in FOLDERS) or not rest.endswith(ENDINGS):
        strays.append(name)
missing = [file for file in FILES if f"assent/{file}" not in names] + [folder for folder in FOLDERS if not any(n.startswith(f"assent/{folder}/") for n in names)]
if strays or missing:
    sys.exit(f"the wheel holds what it should not: {strays}; it lacks: {missing}")
print(f"{len(names)} files, all of the package")
