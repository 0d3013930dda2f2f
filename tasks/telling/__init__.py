"""What people are told of jobs and connections: the command and the console have the same words."""
