"""A TCP proxy that is late on demand.

late.py PORT SERVER-URL FILE: what FILE says decides whether bytes from the server go on:
"no" (or no file): at once; "old": not on connections that were open when it was
written; "all": on none. What is held back goes on when FILE says otherwise.
"""
import os
import socket
import sys
import threading
import time
import urllib.parse


def mode():
    try:
        with open(sys.argv[3]) as file:
            return file.read().strip(), os.stat(sys.argv[3]).st_mtime
    except OSError:
        return "no", 0


def held(began):
    word, since = mode()
    return word == "all" or (word == "old" and began < since)


def copy(source, sink, began):
    try:
        while data := source.recv(65536):
            while began is not None and held(began):
                time.sleep(0.02)
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


server = urllib.parse.urlsplit(sys.argv[2])
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = listener.accept()
    upstream = socket.create_connection((server.hostname, server.port or 443))
    for pair in ((client, upstream, None), (upstream, client, time.time())):
        threading.Thread(target=copy, args=pair, daemon=True).start()
