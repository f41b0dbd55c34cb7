"""The Python interface: what `import certifuse` offers."""
