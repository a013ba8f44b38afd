"""The HTML report of a run, of a sweep or of several runs, with its charts as SVG."""
