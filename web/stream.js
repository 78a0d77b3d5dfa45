// The live stream of events (server-sent events, WHATWG HTML §9.2). EventSource cannot send a token, fetch can.

const SILENCE = 45000; // the server says something every 15 s
const LONGEST_PAUSE = 30000;
const LONGEST_LINE = 1 << 20;

/** A function that takes pieces of a stream, and calls onBlock({id, event, data, retry}) for each block. */
export function createParser(onBlock) {
  let rest = "", block = {};
  function take(line) {
    if (line === "") {
      onBlock(block);
      block = {};
      return;
    }
    const colon = line.indexOf(":"), name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") block.data = block.data === undefined ? value : `${block.data}\n${value}`;
    else if (name === "id" || name === "event" || name === "retry") block[name] = value;
  }
  return piece => {
    const lines = (rest + piece).split("\n");
    rest = lines.pop();
    if (rest.length > LONGEST_LINE) throw new Error("a line of the stream is too long");
    for (const line of lines) take(line.endsWith("\r") ? line.slice(0, -1) : line);
  };
}

/** A pause around the given one, so that many pages do not come again at the same time. */
function jitter(ms) {
  return ms * (0.5 + Math.random());
}

/**
 * Follows all events, and comes again whenever the stream ends, with the last id that it has seen.
 * onEvent(event); onOpen(resumed); onGap(): events are missing, so read everything again; onAway(): not live.
 * Returns a function that ends it.
 */
export function follow(api, {onEvent, onOpen, onGap, onAway}) {
  let last = null, hint = 2000, failures = 0, heard = 0, stopped = false, connection = null, wake = null;

  function handle({id, event, data, retry}) {
    if (/^\d+$/.test(retry)) hint = Number(retry);
    if (id !== undefined) last = id;
    api.saw(last);
    if (event === "resync") onGap();
    else if (data !== undefined) onEvent(JSON.parse(data));
  }

  async function read() {
    const headers = {Accept: "text/event-stream"};
    if (last) headers["Last-Event-ID"] = last;
    connection = new AbortController();
    heard = Date.now();
    const answer = await api.open("events", {headers, signal: connection.signal});
    const take = createParser(handle), pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    failures = 0;
    onOpen(last !== null);
    for (;;) {
      const {done, value} = await pieces.read();
      if (done) return;
      heard = Date.now();
      take(value);
    }
  }

  function pause(ms) {
    return new Promise(resolve => {
      wake = resolve;
      setTimeout(resolve, ms);
    });
  }

  /** How long to wait after an end; the server's wish counts, and grows when it keeps failing. */
  function pauseAfter(problem) {
    if (problem?.status === 400 && last) { // it does not know the position
      last = null;
      return 0;
    }
    return Math.max((problem?.retryAfter ?? 0) * 1000, Math.min(jitter(hint * 2 ** Math.min(failures - 1, 4)), LONGEST_PAUSE));
  }

  async function run() {
    while (!stopped) {
      const token = api.token();
      const problem = await read().then(() => null, reason => reason);
      if (stopped) return;
      connection.abort();
      if (!problem && api.token() !== token) continue; // it ended with its token, and there is a new one
      failures++;
      onAway(problem);
      await pause(pauseAfter(problem));
    }
  }

  const watch = setInterval(() => {
    if (Date.now() - heard > SILENCE) connection?.abort();
  }, 5000);
  const hurry = () => wake?.(), hangUp = () => connection?.abort(); // a page that is kept for the way back holds no connection
  addEventListener("online", hurry);
  addEventListener("pagehide", hangUp);
  run();
  return () => {
    stopped = true;
    clearInterval(watch);
    removeEventListener("online", hurry);
    removeEventListener("pagehide", hangUp);
    hangUp();
    hurry();
  };
}
