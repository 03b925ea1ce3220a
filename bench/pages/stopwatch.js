// Put into every measured page before its own scripts: when the button was clicked, and when the first
// remote frame was shown (requestVideoFrameCallback), both in milliseconds since 1970, so that times
// of two pages on one machine can be compared.
(() => {
  const seen = { click: null, frame: null };
  window.benchStopwatch = seen;
  addEventListener(
    "click",
    (event) => {
      if (event.target.closest?.('[data-testid="admit-button"]')) {
        seen.click ??= performance.timeOrigin + event.timeStamp;
      }
    },
    true,
  );
  const watched = new WeakSet();
  const look = () => {
    for (const video of document.querySelectorAll('video[data-testid="remote-video"]')) {
      if (watched.has(video)) continue;
      watched.add(video);
      video.requestVideoFrameCallback((now) => {
        seen.frame ??= performance.timeOrigin + now;
      });
    }
  };
  new MutationObserver(look).observe(document, {
    childList: true,
    subtree: true,
    attributes: true,
    attributeFilter: ["data-testid"],
  });
})();
