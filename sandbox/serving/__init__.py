"""What listens: the HTTPS server with its pages, and the mail server."""
