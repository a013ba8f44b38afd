"""One self-contained HTML file for a run, a sweep or several runs; figures as SVG of our own."""
