// PeerJS server as npm's `peer` ships it, without the command line's log line per connection, so that
// it is measured at its best. Port 0 asks for a free one; the port is printed once it listens.
import { PeerServer } from "peer";

PeerServer(
  {
    host: "127.0.0.1",
    port: Number(process.argv[2] ?? 0),
    path: "/",
    // The default of 5,000 would refuse the clients beyond it.
    concurrent_limit: 100_000,
  },
  (server) => console.log(JSON.stringify({ port: server.address().port })),
);
