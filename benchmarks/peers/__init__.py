"""Other ways to do the same work, each as good as we can make it, to be measured against."""
